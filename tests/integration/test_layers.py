# SPDX-License-Identifier: Apache-2.0
"""The layers: arrows run one way, cli, oci, lab -> launch -> plan -> kernel -> base, in the include lines and in the
symbols of the objects. Library code neither prints nor exits, and keeps no state between calls."""
import collections
import glob
import os
import re
import subprocess

from harness import *

# main is main.c; gen holds programs of the build
RANK = {"base": 0, "kernel": 1, "plan": 2, "launch": 3, "oci": 4, "lab": 4, "cli": 5, "main": 6, "gen": 6}
# What belongs to one layer, however it is reached.
HEADERS = {r"^jansson\.h$": {"plan", "oci", "lab", "gen", "cli"}, r"^getopt\.h$": {"cli"}, r"^argp\.h$": {"cli"},
           r"^seccomp\.h$": {"kernel", "plan"}, r"^sys/capability\.h$": {"kernel"}, r"^libcgroup\.h$": {"kernel"}, r"^(curses|ncurses|term)\.h$": {"lab"}}
SYMBOLS = {r"^json(_|p_)": {"plan", "oci", "lab", "cli"}, r"^getopt": {"cli"},
           r"^(newterm|endwin|setupterm|tigetstr|wrefresh|get_wch)$": {"lab"},
           r"^cap_(set|get|init|free|clear|from|to)_?": {"kernel"},
           r"^seccomp_(init|load|rule_|export|arch_|attr_|merge|syscall_)": {"kernel", "plan"},
           r"^cgroup_(init|new_cgroup|add_controller|create_cgroup)$": {"kernel"}}
# Streams that were given as a parameter are another matter.
PRINTS = r"^(v?printf|__v?printf_chk|puts|putchar|perror|stdout|stderr|syslog|errx?|warnx?|psignal)$"
EXITS = r"^(exit|abort|quick_exit|__assert_fail)$"
# {source: {variable: why}} of every writable variable with static storage in the library, in functions or out of them.
STATE_ALLOWED = {"cli/globals.c": {"current": "flags before the command: written once, by main()"},
                 "cli/report.c": {"log_state": "where messages go"},
                 "lab/panes_terminal.c": {"owner": "whose the screen is: a signal handler gives the terminal back"}}
SANITIZER = r"^(__asan|__ubsan|__odr|\.LASAN|asan\.|_sub_[ID]_|__sanitizer)"


def layer_of(path):
    """"kernel" of runtime/kernel/x.c and of include/nsrun/kernel/x.h."""
    relative = os.path.relpath(path, TOP).split(os.sep)
    if relative[0] == "runtime":
        return "main" if len(relative) == 2 else relative[1]
    return relative[2] if len(relative) > 3 else "main"


def sources():
    found = glob.glob(os.path.join(TOP, "runtime/**/*.[ch]"), recursive=True)
    found += glob.glob(os.path.join(TOP, "include/nsrun/**/*.h"), recursive=True)
    check(len(found) > 20, "only %d source files were found" % len(found))
    return sorted(found)


def includes(path):
    with open(path) as file:
        return re.findall(r'^\s*#\s*include\s*([<"][^>"]+[>"])', file.read(), re.M)


def test_every_directory_has_a_rank():
    equal(sorted({layer_of(path) for path in sources()} - set(RANK)), [], "layers without a place in the order")


def test_include_lines():
    bad = []
    for path in sources():
        own = layer_of(path)
        for line in includes(path):
            name, where = line[1:-1], os.path.relpath(path, TOP)
            match = re.match(r"nsrun/(\w+)/", name)
            if match:
                if RANK.get(match.group(1), 99) > RANK[own]:
                    bad.append("%s (%s) includes %s" % (where, own, line))
                elif own in ("oci", "lab") and match.group(1) in ("oci", "lab") and match.group(1) != own:
                    bad.append("%s: one face includes another: %s" % (where, line))
            elif line[0] == '"' or name.startswith("."):
                bad.append("%s: a relative include hides its layer: %s" % (where, line))
            for pattern, layers in HEADERS.items():
                if re.search(pattern, name) and own not in layers:
                    there = " ".join(sorted(layers))
                    bad.append("%s (%s) includes %s, which belongs to %s" % (where, own, line, there))
    equal(bad, [], "include lines against the order")


def test_own_header_first():
    """A header that is included first proves that it needs nothing before it."""
    bad = []
    for path in sources():
        name = "nsrun/%s/%s.h" % (layer_of(path), os.path.basename(path)[:-2])
        if path.endswith(".c") and os.path.exists(os.path.join(TOP, "include", name)):
            with open(path) as file:
                # the first block: a file may carry out more than one header
                block = re.search(r"^#include[^\n]*\n(?:#include[^\n]*\n)*", file.read(), re.M)
            if not block or "#include <%s>" % name not in block.group(0):
                bad.append(os.path.relpath(path, TOP))
    equal(bad, [], "files that do not include their own header first")


# ---- objects -----------------------------------------------------------------------------------------------------

Symbol = collections.namedtuple("Symbol", "name kind")


def objects(build=None):
    """{source relative to runtime/: object}"""
    build = os.path.dirname(built(build or "NSRUN"))
    out = {}
    for path in glob.glob(os.path.join(build, "runtime", "**", "*.o"), recursive=True):
        name = os.path.basename(path)[:-2]
        for source in sources():
            relative = os.path.relpath(source, os.path.join(TOP, "runtime"))
            # meson writes a source's path with underscores
            if relative.endswith(".c") and relative.replace("/", "_") == name:
                out[relative] = path
    check(len(out) > 20, "only %d objects were found below %s/runtime" % (len(out), build))
    return out


def symbols(path):
    text = subprocess.run(["nm", path], stdout=subprocess.PIPE, check=True).stdout.decode()
    found = [line.split()[-2:] for line in text.splitlines() if line.strip()]
    return [Symbol(name.split("@")[0], kind) for kind, name in found if not re.match(SANITIZER, name)]


def layer_of_object(relative):
    return "main" if "/" not in relative else relative.split("/")[0]  # main.c lies in runtime/ itself


def everything():
    if not _cache:
        _cache.update({relative: symbols(path) for relative, path in objects().items()})
    return _cache


_cache = {}


@test(needs=["nm"])
def test_every_source_is_built():
    names = {os.path.relpath(path, os.path.join(TOP, "runtime")) for path in sources()
             if path.endswith(".c") and path.startswith(os.path.join(TOP, "runtime")) and layer_of(path) != "gen"}
    equal(sorted(names - set(objects()) - {"main.c"}), [], "sources without an object")


@test(needs=["nm"])
def test_symbols():
    """What an object wants is defined in its own layer or below."""
    home = {}
    for relative, table in everything().items():
        for symbol in table:
            if symbol.kind in "TDBRVW" and symbol.kind != "U":
                home[symbol.name] = relative
    bad = []
    for relative, table in everything().items():
        own = layer_of_object(relative)
        for symbol in table:
            if symbol.kind not in "Uw":
                continue
            there = home.get(symbol.name)
            if there and RANK[layer_of_object(there)] > RANK[own]:
                bad.append("%s wants %s of %s" % (relative, symbol.name, there))
            for pattern, layers in SYMBOLS.items():
                if not there and re.search(pattern, symbol.name) and own not in layers:
                    bad.append("%s wants %s, which belongs to %s" % (relative, symbol.name, ", ".join(sorted(layers))))
    equal(bad, [], "symbols against the order")


@test(needs=["nm"])
def test_the_test_sees_arrows():
    """Were no symbol resolved, the test above would say nothing."""
    for relative, wanted in (("plan", "json_"), ("launch", "err_set"), ("kernel", "err_set")):
        found = [symbol.name for name, table in everything().items() if layer_of_object(name) == relative
                 for symbol in table if symbol.kind == "U" and symbol.name.startswith(wanted)]
        check(found, "no object of %s wants %s" % (relative, wanted))


# What makes, enters or changes a namespace, or could do so by number.
LAUNCHES = r"^(mount|umount2?|clone3?|unshare|setns|pivot_root|chroot|syscall|open_tree|move_mount|fsopen|mount_setattr|sethostname)$"


@test(needs=["nm"])
def test_the_lab_has_no_launch_code():
    """nsrun lab types commands (docs/decisions/0018): what it shows is what the program does without it."""
    lab = {relative: table for relative, table in everything().items() if layer_of_object(relative) == "lab"}
    check(len(lab) > 10, "only %d objects of the lab were found" % len(lab))
    equal(["%s wants %s" % (relative, symbol.name) for relative, table in lab.items() for symbol in table
           if symbol.kind in "Uw" and re.match(LAUNCHES, symbol.name)], [], "system calls of a launch in the lab")
    check(any(symbol.name == "unshare" for relative, table in everything().items() for symbol in table
              if layer_of_object(relative) in ("kernel", "launch")), "no object at all wants unshare: the test sees nothing")


@test(needs=["nm"])
def test_library_neither_prints_nor_exits():
    bad = []
    for relative, table in everything().items():
        if layer_of_object(relative) in ("cli", "main", "gen"):
            continue
        for symbol in table:
            if symbol.kind in "Uw" and (re.match(PRINTS, symbol.name) or re.match(EXITS, symbol.name)):
                bad.append("%s wants %s" % (relative, symbol.name))
    equal(bad, [], "library code that prints or exits")


# nm prints the same letter for .data and .data.rel.ro, which a position-independent program relocates and then protects.
LINE_OF_TABLE = re.compile(r"[0-9a-f]+ .{7} (\.(?:t?data|t?bss)\S*|\*COM\*)\s+([0-9a-f]+)\s+(?:\.hidden )?(\S+)$")


def writable(path):
    """Names of writable variables of an object, as in the source: the compiler adds a number to one inside a function."""
    text = subprocess.run(["objdump", "-t", path], stdout=subprocess.PIPE, check=True).stdout.decode()
    found = set()
    for line in text.splitlines():
        match = LINE_OF_TABLE.match(line)
        if match and not re.match(r"\.data\.rel\.ro", match.group(1)) and match.group(3) != match.group(1) and int(match.group(2), 16):
            found.add(re.sub(r"\.\d+$", "", match.group(3)))
    return found


@test(needs=["objdump"])
def test_library_keeps_no_state():
    """No object of the library has a writable variable with static storage, but for those that are listed with a reason."""
    found = {relative: writable(path) for relative, path in objects("NSRUN_RELEASE").items() if layer_of_object(relative) != "gen"}
    bad = ["%s: %s" % (relative, name) for relative, names in found.items() for name in names if name not in STATE_ALLOWED.get(relative, {})]
    equal(sorted(bad), [], "writable variables")
    stale = ["%s: %s" % (relative, name) for relative, names in STATE_ALLOWED.items() for name in names
             if name not in found.get(relative, ())]
    equal(sorted(stale), [], "entries of STATE_ALLOWED that no longer exist")


@test(needs=["objdump", "gcc"])
def test_state_is_seen():
    """The test above can fail: by a variable of a file, of a function, of a thread, and by a pointer in a table that is not const."""
    source, target = os.path.join(tmp(), "state.c"), os.path.join(tmp(), "state.o")
    with open(source, "w") as file:
        file.write("""static int of_file; int with_value = 1; static _Thread_local int of_thread;
static const char *names[] = { "a", "b" }; static const char *const fixed[] = { "a", "b" };
int count(int i); int count(int i) { static int of_function; return ++of_function + ++of_file + ++of_thread + *names[i] + *fixed[i]; }
void change(const char *to); void change(const char *to) { names[0] = to; }
""")
    subprocess.run(["gcc", "-O2", "-fPIE", "-c", "-o", target, source], check=True)
    equal(writable(target), {"of_file", "with_value", "of_thread", "names", "of_function"}, "writable variables of the example")


if __name__ == "__main__":
    main()
