# SPDX-License-Identifier: Apache-2.0
"""Pages of nsrun lab report in headless Chromium, without a network: figures are measured by a script (lab_page.js), in light, in dark and as paper."""
import html
import json
import os
import re
import struct
import zlib

from harness import *
from test_lab import lab_dir
from test_lab_report import classes, document, hashed, parse, play, report, write

POLICY = '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'; base-uri \'none\'; form-action \'none\'" />'
SCHEMES = {"light": 1, "dark": 0}
GROUND = {"light": (255, 255, 255), "dark": (15, 20, 26)}


def chromium(page, *flags, width=1100, height=1600, dark=False, timeout=60):
    """In a network namespace without links: what the page wanted from elsewhere would be missed."""
    profile = tmp("profile")
    return run(["unshare", "--net", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-extensions", "--hide-scrollbars", "--user-data-dir=" + profile, "--force-device-scale-factor=1",
                "--window-size=%d,%d" % (width, height), "--blink-settings=preferredColorScheme=%d" % SCHEMES["dark" if dark else "light"],
                "--virtual-time-budget=3000", *flags, "file://" + page], timeout=timeout,
               env={"HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile, "DBUS_SESSION_BUS_ADDRESS": "disabled:"})


def measured(page, paper=False, policy=False, **more):
    """What lab_page.js has found in a copy of the page."""
    with open(os.path.join(TOP, "tests/integration/lab_page.js")) as file:
        script = file.read()
    check(POLICY in page, "no content policy")
    copy = page if policy else page.replace(POLICY, "")
    if paper:
        copy = copy.replace("@media print", "@media all").replace("@media screen", "@media not all")
    copy = copy.replace("</body>", "<script>%s</script></body>" % script)
    found = chromium(write("page.html", copy), "--dump-dom", **more)
    match = re.search(r'<pre id="findings">(.*?)</pre>', found.stdout, re.S)
    if policy:
        check(found.stdout.rstrip().endswith("</html>") and "nsrun lab" in found.stdout, "no page: %r" % found)
        return match
    check(match, "no findings: %s" % found.stderr[-2000:])
    return json.loads(html.unescape(match.group(1)))


def fine(found, what):
    equal(found["errors"], [], what)
    equal(found["resources"], 0, what + ": requests")
    check(found["lowest"] >= 4.5, "%s: contrast %s" % (what, found["lowest"]))


_page = []


def learner():
    """The page of a chapter that was played, and what its launches are: as they were, and as they may become."""
    if not _page:
        path = play(answer="a")
        file = os.path.join(lab_dir(None), "launches.json")
        with open(file) as opened:
            launches = json.load(opened)["launches"]
        launches.extend(stretched(launches[0], number) for number in range(3))
        with open(file, "w") as opened:
            json.dump({"version": 1, "launches": launches}, opened)
        _page.append((report("-o", "-", chapters=path).stdout, launches))
    return _page[0]


def stretched(launch, number):
    """More, longer and stranger than chapters have it."""
    launch = json.loads(json.dumps(launch))
    launch["name"] = "stretched-%d" % number
    long = ("/" + "long-name-" * 9, "/\u6f22\u5b57" * 30, "/W")[number]
    launch["mounts"] = [{"id": i, "parent": (i - 1) // (1, 2, 3)[number], "target": long + str(i), "type": "fuse.a-long-type", "options": "ro," + "option," * 20,
                         "masked": i % 5 == 0, "propagation": "shared, slave"} for i in range(1, 129)]
    launch["mounts_left_out"] = 7
    launch["uid_map"] = [[i * 10, 4000000000 - i * (7 if i % 2 else -9), 1 + i % 3 * 4000] for i in range(40)]
    launch["gid_map"] = [[0, 0, 4294967295]]
    ends = [{"name": "a-long-link-%d" % i, "state": "up", "addresses": ["fe80::ffff:ffff:ffff:%04x/64" % i] * (i % 4), "index": i + 1, "peer": 24 - i} for i in range(24)]
    launch["network"] = {"container": ends, "host": [{**end, "index": end["peer"], "peer": end["index"]} for end in ends[::2]]}
    if number == 1:
        launch["network"].pop("host")
    # Held, and held again, and a row that failed.
    pause = (30000000, 4000000000000, 26000000)[number]
    for index, row in enumerate(launch["rows"]):
        row["name"] = row["name"] + "-and-more" * number * 2
        row["interface"] = row["interface"] + " and_another_call" * 3 * number
        for key in ("begin", "end"):
            if row[key] is not None:
                row[key] += pause * (index // 5)
    launch["rows"][-2]["result"] = "EPERM"
    for side in ("host", "container"):
        for kind, value in launch["namespaces"][side].items():
            if kind != "user":
                value["owner"] = (value["owner"], None, launch["namespaces"]["container"]["user"]["inode"])[number]
    return launch


def group():
    """The page of a class: many, with names of all sorts, and some that are doubtful."""
    path = play(answer="a")
    value, directory, files = document(chapters=path), tmp("results"), []
    for number in range(12):
        one = json.loads(json.dumps(value))
        chapters = [{**json.loads(json.dumps(one["chapters"][0])), "id": each, "title": each.title()} for each in
                    ("uts", "ipc", "mount", "pid", "user", "network", "cgroup", "time", "capabilities", "seccomp", "labels", "overlay", "bundle", "rootless", "launch",
                     "break-docker-group", "break-fork-bomb", "break-setuid", "break-socket", "break-range", "break-caps", "break-descriptor", "break-writable")]
        for chapter in chapters:
            chapter["begun"] = "2030-01-01T00:00:%02d.%09dZ" % (number, number)
            chapter["seconds"] = number * 700
        one["chapters"] = chapters
        content = hashed(one) if number % 5 else one
        files.append(write(("anna", "Bartholomew-Featherstonehaugh-the-Younger", "\u674e\u5c0f\u9f8d")[number % 3] + "-%d.json" % number, content, directory))
    return report("-o", "-", *files, status=1).stdout


PAGES = {"learner": lambda: learner()[0], "class": group}


@generate(timeout=120, root=True, needs=["chromium"])
def figures():
    for name, make in PAGES.items():
        for scheme in SCHEMES:
            yield "%s-%s" % (name, scheme), lambda name=name, make=make, scheme=scheme: measure(name, make, dark=scheme == "dark")
        # Where the browser is dark, paper is not.
        yield "%s-paper" % name, lambda name=name, make=make: measure(name, make, paper=True, dark=True, width=1000 if name == "class" else 700)
        yield "%s-narrow" % name, lambda name=name, make=make: measure(name, make, width=500)


def measure(name, make, **more):
    found = measured(make(), **more)
    fine(found, name)
    equal(found["dark"], more.get("dark", False), "dark")
    equal(found["ground"], list(GROUND["dark" if found["dark"] and not more.get("paper") else "light"]), "the colour of the page")
    if name == "learner":
        equal(sorted(found["bars"]), sorted(len(launch["rows"]) for launch in learner()[1]), "bars against rows")
        equal((found["details"], found["folded"]), (4, 3), "launches, and those that are folded")
        check(found["pictures"] >= 20 and found["texts"] > 1000 and found["squares"] == 2 + 3, "too little was measured: %r" % found)
    else:
        check(found["texts"] > 500, "too little was measured: %r" % found)


@test(timeout=60, root=True, needs=["chromium"])
def test_the_script_sees_what_is_wrong():
    """A picture that is too small, texts on each other, a colour that cannot be read."""
    page, wanted = report("-o", "-", chapters=play(answer="a")).stdout, []
    equal(measured(page)["errors"], [], "before")
    for old, new, message in (('viewBox="0 0 960 ', 'viewBox="0 0 900 ', "outside of the picture"), ("--dim:#515d6d", "--dim:#a1adbd", "contrast"),
                              ("svg text{font:12px", "svg text{font:17px", "texts overlap"), ("max-width:62rem;", "width:1300px;max-width:none;", "wider than the window")):
        check(old in page, "no %r in the page" % old)
        page = page.replace(old, new)
        wanted.append(message)
    errors = measured(page)["errors"]
    equal([message for message in wanted if not any(message in error for error in errors)], [], "what was not found")


@test(timeout=60, root=True, needs=["chromium"])
def test_no_script_runs():
    """The second wall: what would get into the page is stopped by its content policy."""
    equal(measured(learner()[0], policy=True), None, "findings of a script")


def pixel(path):
    """Width, height and the first pixel of a PNG; whatever filter its line has, that one is as it stands."""
    with open(path, "rb") as file:
        data = file.read()
    equal(data[:8], b"\x89PNG\r\n\x1a\n", "signature")
    width, height = struct.unpack(">II", data[16:24])
    pixels, at = b"", 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        pixels += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    return width, height, tuple(zlib.decompressobj().decompress(pixels, 64)[1:4])


@test(timeout=120, root=True, needs=["chromium"])
def test_pictures_and_paper():
    page, directory = write("page.html", learner()[0]), tmp("pictures")
    for scheme, colour in GROUND.items():
        target = os.path.join(directory, scheme + ".png")
        chromium(page, "--screenshot=" + target, dark=scheme == "dark", height=2000)
        equal(pixel(target), (1100, 2000, colour), scheme)
    for name, content, wide in (("learner", learner()[0], False), ("class", group(), True)):
        target = os.path.join(directory, name + ".pdf")
        chromium(write(name + ".html", content), "--no-pdf-header-footer", "--print-to-pdf=" + target, dark=True)
        with open(target, "rb") as file:
            data = file.read()
        check(data.startswith(b"%PDF-"), "no PDF: %r" % data[:20])
        pages = len(re.findall(rb"/Type\s*/Page\b", data))
        check(2 <= pages <= 40, "%s: %d pages" % (name, pages))
        sizes = {tuple(float(each) for each in match) for match in re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)", data)}
        equal({width > height for width, height in sizes}, {wide}, "%s: across the page, %r" % (name, sizes))


if __name__ == "__main__":
    main()
