# SPDX-License-Identifier: Apache-2.0
"""The hardening of the tool itself, read from the file that users get."""
import glob
import os
import re
import subprocess

from harness import *


def readelf(*options):
    path = built("NSRUN_RELEASE")
    return run(["readelf", "--wide"] + list(options) + [path]).check(0).stdout


def segment(name):
    return [line for line in readelf("--program-headers").splitlines() if re.match(r"\s*%s\s" % name, line)]


def dynamic():
    """{tag: [value]}"""
    out = {}
    for tag, value in re.findall(r"^\s*0x[0-9a-f]+ \((\w+)\)\s+(.*)$", readelf("--dynamic"), re.M):
        out.setdefault(tag, []).append(value)
    return out


def undefined():
    return set(re.findall(r"\bUND\s+(\w+)", readelf("--dyn-syms")))


def is_static():
    return not dynamic().get("NEEDED")


@test(needs=["readelf"])
def test_pie():
    contains(readelf("--file-header"), "DYN (", "type of the file")
    contains(dynamic().get("FLAGS_1", [""])[0], "PIE", "FLAGS_1")


@test(needs=["readelf"])
def test_full_relro():
    check(segment("GNU_RELRO"), "there is no GNU_RELRO segment")
    flags = " ".join(dynamic().get("FLAGS", []) + dynamic().get("FLAGS_1", []))
    check("BIND_NOW" in dynamic() or re.search(r"\b(BIND_NOW|NOW)\b", flags), "symbols are bound late: %s" % flags)


@test(needs=["readelf"])
def test_stack_not_executable():
    found = segment("GNU_STACK")
    equal(len(found), 1, "GNU_STACK segments")
    equal(found[0].split()[-2], "RW", "flags of the stack: %s" % found[0])


@test(needs=["readelf"])
def test_nothing_writable_and_executable():
    loads = segment("LOAD")
    check(loads, "there is no LOAD segment")
    for line in loads:
        flags = "".join(line.split()[6:-1])
        check(not ("W" in flags and "E" in flags), "writable and executable: %s" % line)


@test(needs=["readelf"])
def test_no_text_relocations():
    check("TEXTREL" not in dynamic() and "TEXTREL" not in " ".join(dynamic().get("FLAGS", [])), "text relocations")


@test(needs=["readelf"])
def test_no_search_path():
    for tag in ("RPATH", "RUNPATH"):
        check(tag not in dynamic(), "%s: %s" % (tag, dynamic().get(tag)))


@test(needs=["readelf"])
def test_stack_protector():
    if is_static():
        contains(readelf("--syms"), "__stack_chk_fail", "symbols")
    else:
        check("__stack_chk_fail" in undefined(), "__stack_chk_fail is not called")


@test(needs=["readelf"])
def test_fortify():
    """-D_FORTIFY_SOURCE=3 turns calls into their checked forms where the size is known."""
    if is_static():
        skip("a static program does not import them")
    checked = {name for name in undefined() if re.match(r"__\w+_chk$", name)}
    check(len(checked) >= 3, "checked functions that are called: %s" % sorted(checked))


def features(path):
    """What the property note of a file says: ["IBT", "SHSTK"]"""
    notes = subprocess.run(["readelf", "--notes", path], stdout=subprocess.PIPE, check=True).stdout.decode()
    match = re.search(r"x86 feature: (.*)", notes)
    return sorted(re.split(r",\s*", match.group(1).strip())) if match else []


@test(needs=["readelf"])
def test_control_flow_protection_of_objects():
    """-fcf-protection=full: every object has landing pads and keeps to the shadow stack."""
    needs_x86()
    objects = glob.glob(os.path.join(os.path.dirname(built("NSRUN_RELEASE")), "runtime", "**", "*.o"), recursive=True)
    check(len(objects) > 20, "only %d objects were found" % len(objects))
    equal([path for path in objects if features(path) != ["IBT", "SHSTK"]], [], "objects without IBT and SHSTK")


@test(needs=["readelf", "gcc"])
def test_control_flow_protection_of_the_file():
    """The linker marks a program only when everything in it is marked, the C library's start-up files too."""
    needs_x86()
    source, plain = os.path.join(tmp(), "plain.c"), os.path.join(tmp(), "plain")
    with open(source, "w") as file:
        file.write("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-fcf-protection=full", "-o", plain, source], check=True)
    if features(plain) != ["IBT", "SHSTK"]:
        skip("the start-up files of this host's C library are not marked, so no program is")
    equal(features(built("NSRUN_RELEASE")), ["IBT", "SHSTK"], "x86 features of the file")


def needs_x86():
    if "X86-64" not in readelf("--file-header"):
        skip("CET is of x86-64")


@test(needs=["readelf"])
def test_no_debugging_entry():
    """The release has no fault points."""
    with open(built("NSRUN_RELEASE"), "rb") as file:
        check(b"NSRUN_FAULT" not in file.read(), "the release knows NSRUN_FAULT")


@test(needs=["readelf"])
def test_few_libraries():
    """Each library is code that runs with the caller's privileges."""
    names = [re.search(r"\[(.*)\]", value).group(1) for value in dynamic().get("NEEDED", [])]
    allowed = r"(libc|libm|libseccomp|libcap|libcgroup|libjansson|libncursesw|libtinfo|ld-linux\S*)\.so"
    equal([name for name in names if not re.match(allowed, name)], [], "libraries that are needed")


if __name__ == "__main__":
    main()
