# SPDX-License-Identifier: Apache-2.0
"""nsrun lab report: one page that shows what was done, in which hostile text stays text; results whose hash shows what was changed; the page of a class."""
import hashlib
import json
import os
import random
import re
import xml.etree.ElementTree as xml

from harness import *
from test_lab import USERS, assert_nothing_left, chapter, fresh, lab, lab_dir, variables

SVG = "http://www.w3.org/2000/svg"
FIGURES = {"namespaces", "id-maps", "mounts", "network", "tape"}
HOSTILE = "\"><img src=x onerror=alert(1)><script>document.title='owned'</script>&amp;\u202e'"

CHAPTER = r"""
```run
nsrun --name box --hostname inside --cap-add SYS_ADMIN rootfs /bin/sh -c ': "</pre><script>"; sleep 600'
```

```ask name
What does `hostname` print on the host?
a) inside
b) something <i>else</i>
answer: b
holds: host.hostname != inside
why: another namespace & another name
```

```ask word
Which word?
answer: free
```

```sh box
mkdir '/tmp/<u>&"' && mount -t tmpfs none '/tmp/<u>&"'
```

```task rename
Call it mine.
hint: first
solution box: hostname mine
check: box.hostname == mine
```
"""


def forget(who):
    fresh(who)
    try:
        os.unlink(os.path.join(lab_dir(who), "launches.json"))
    except FileNotFoundError:
        pass


def play(who=None, answer="b", word="free"):
    """The chapters' directory, in which the chapter was played."""
    forget(who)
    path = chapter(CHAPTER)
    lab("own", who=who, chapters=path, input="\n%s\n%s\n\nhint\nbox hostname mine\n\n\n" % (answer, word)).check(0)
    return path


def report(*words, who=None, chapters=None, status=0, env=None):
    return lab("report", *words, who=who, chapters=chapters, env=env).check(status)


def document(who=None, chapters=None, env=None):
    return json.loads(report("--json", who=who, chapters=chapters, env=env).stdout)


def write(name, content, directory=None):
    path = os.path.join(directory or tmp("results"), name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode())
    return path


def digest(value, salt=None):
    """Not by the program's own code."""
    value = {key: value[key] for key in value if key != "hash"}
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(((salt + "\n" if salt else "") + text).encode()).hexdigest()


def hashed(value, salt=None):
    """What somebody makes who can program."""
    return {**value, "hash": {"algorithm": "sha256", "salted": bool(salt), "value": digest(value, salt)}}


def parse(page):
    """The page as a tree: it is well-formed XML, too, so nothing in it can be taken for something else than it is."""
    check(page.startswith("<!DOCTYPE html>\n"), "begins with %r" % page[:40])
    tree = xml.fromstring(page.split("\n", 1)[1])
    for element in tree.iter():
        name = element.tag.replace("{%s}" % SVG, "")
        check(name in ("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "a", "pre", "code", "dl", "div", "dt", "dd", "small", "span",
                       "b", "strong", "em", "br", "table", "thead", "tbody", "tfoot", "tr", "th", "td", "figure", "figcaption", "svg", "g", "rect", "line", "path",
                       "polygon", "text", "section", "footer", "details", "summary"), "element %r" % name)
        for key, value in element.attrib.items():
            check(key in ("lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "role", "viewBox", "aria-label", "text-anchor", "x", "y",
                          "width", "height", "rx", "x1", "y1", "x2", "y2", "d", "points", "open", "colspan", "title"), "attribute %r" % key)
            check(key != "href" or re.fullmatch(r"#chapter-\d+", value), "a link to %r" % value)
    style = tree.find("head/style").text
    check("url(" not in style and "@import" not in style, "the style refers to something outside")
    for part in ("prefers-color-scheme:dark", "@media print"):
        contains(style, part)
    equal([meta.get("content") for meta in tree.iter("meta") if meta.get("http-equiv")], ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"], "content policy")
    return tree


def text_of(element):
    return "".join(element.itertext())


def classes(tree, tag, word):
    return [each for each in tree.iter(tag) if word in (each.get("class") or "").split()]


# ---- a learner ----------------------------------------------------------------------------------------------------

@generate(timeout=120)
def page_of():
    for kind, who in USERS:
        if ROOT or kind == "root":
            yield kind, lambda who=who: page(who())


def page(who):
    before = leftovers()
    path = play(who, answer="a")
    assert_nothing_left(before, who)
    launches = document(who, path)["launches"]
    found = report("-o", "-", who=who, chapters=path).stdout
    tree = parse(found)
    launch = launches[0]
    equal([each["name"] for each in launches], ["box"], "launches")
    # What the kernel said, in the figures.
    figures = {figure.get("class"): figure for figure in tree.iter("figure")}
    equal(set(figures), FIGURES | {"predictions"}, "figures")
    equal(len(classes(figures["tape"], "rect", "bar")), len(launch["rows"]), "bars against rows")
    equal([text_of(each) for each in classes(figures["tape"], "text", "row")], [row["name"] for row in launch["rows"]], "rows")
    check(len(launch["rows"]) > 20 and "root.pivot" in [row["name"] for row in launch["rows"]], "rows: %r" % launch["rows"])
    begins = [row["begin"] for row in launch["rows"]]
    equal((begins[0], begins), (0, sorted(begins)), "times")
    shown = text_of(figures["namespaces"])
    for side in ("host", "container"):
        for kind in ("user", "uts", "mnt", "pid"):
            contains(shown, str(launch["namespaces"][side][kind]["inode"]), side + " " + kind)
    check(launch["namespaces"]["host"]["uts"]["inode"] != launch["namespaces"]["container"]["uts"]["inode"], "one UTS namespace")
    equal(launch["namespaces"]["container"]["uts"]["owner"], launch["namespaces"]["container"]["user"]["inode"], "owner of the UTS namespace")
    equal(os.stat("/proc/self/ns/uts").st_ino, launch["namespaces"]["host"]["uts"]["inode"], "the host's UTS namespace")
    for inside, outside, count in launch["uid_map"]:
        contains(text_of(figures["id-maps"]), "%d to %d (%d ids)" % (outside, outside + count - 1, count) if count > 1 else str(outside))
    targets = [mount["target"] for mount in launch["mounts"]]
    equal(len(classes(figures["mounts"], "rect", "mount")), len(targets), "lines against mounts")
    check({"/", "/proc", "/dev", '/tmp/<u>&"'} <= set(targets), "mounts: %r" % targets)
    contains(text_of(figures["mounts"]), '/tmp/<u>&"')
    masked = [mount["target"] for mount in launch["mounts"] if mount["masked"]]
    check(masked and all(re.match(r"/(proc|sys)/", target) for target in masked), "masked: %r" % masked)
    contains(text_of(figures["network"]), "lo")
    # What the learner said.
    squares = classes(figures["predictions"], "rect", "question")
    equal([each.get("class") for each in squares[-2:]], ["question miss", "question hit"], "squares")
    rows = [text_of(each) for each in tree.iter("tr") if each.get("class") == "ask"]
    contains(rows[0], "a) inside")
    contains(rows[0], "b) something <i>else</i>")
    contains(rows[0], "wrong")
    contains(rows[1], "right")
    task = [text_of(each) for each in tree.iter("tr") if each.get("class") == "task"][0]
    contains(task, "solved")
    contains(task, "1 of 1")
    contains(text_of(tree.find("body/section/details/pre")), "nsrun --name box --hostname inside --cap-add SYS_ADMIN rootfs /bin/sh -c ': \"</pre><script>\"; sleep 600'")


@generate(timeout=60)
def hostile_text_stays_text():
    """Of an answer, a task's answer, names of files in a rootfs, results that were handed in."""
    yield "answer", hostile_answer
    yield "results", hostile_results


def hostile_answer():
    path = play(answer="b", word=HOSTILE)
    tree = parse(report("-o", "-", chapters=path).stdout)
    said = [text_of(each) for each in tree.iter("tr") if each.get("class") == "ask"][1]
    contains(said, HOSTILE.replace("\u202e", "\\xe2\\x80\\xae"))
    check("\u202e" not in text_of(tree), "the direction of writing can be turned")


def hostile_results():
    one = {"id": HOSTILE, "title": HOSTILE, "status": HOSTILE, "begun": HOSTILE, "minutes": -5, "seconds": 2**62,
           "asks": [{"id": HOSTILE, "question": "`%s" % HOSTILE, "answer": HOSTILE, "right": False}], "tasks": []}
    value = hashed({"version": 1, "kind": "report", "made": HOSTILE, "chapters": [one], "launches": []})
    directory = tmp("results")
    files = [write("<script>.json", value, directory), write(HOSTILE.replace("/", "") + ".json", "{" + HOSTILE, directory)]
    found = report("-o", "-", *files, status=1)
    tree = parse(found.stdout)
    contains(text_of(tree), HOSTILE.replace("\u202e", "\\u{202e}"))
    contains(text_of(tree), "<script>")
    check("\u202e" not in found.stderr, "the direction of writing can be turned: %r" % found.stderr)


# ---- results and their hash ---------------------------------------------------------------------------------------

@test(timeout=120)
def test_json_and_hash():
    path = play()
    value = document(chapters=path)
    equal((value["version"], value["kind"]), (1, "report"), "head")
    equal(value["hash"], {"algorithm": "sha256", "salted": False, "value": digest(value)}, "hash")
    salted = document(chapters=path, env={"NSRUN_LAB_SALT": "autumn"})
    equal(salted["hash"], {"algorithm": "sha256", "salted": True, "value": digest(salted, "autumn")}, "hash with a salt")
    equal(json.loads(report("--json", "--salt", "winter", chapters=path).stdout)["hash"]["salted"], True, "--salt")
    one = value["chapters"][0]
    equal([(ask["id"], ask["answer"], ask["chosen"], ask["reality"], ask["reality_chosen"], ask["right"]) for ask in one["asks"]],
          [("name", "b", "b) something <i>else</i>", "b", "b) something <i>else</i>", True), ("word", "free", None, "free", None, True)], "questions")
    equal((one["tasks"][0]["state"], one["tasks"][0]["hints"], one["tasks"][0]["hints_there"]), ("solved", 1, 1), "task")
    # Nothing is told of a question that was not answered.
    forget(None)
    lab("own", chapters=path, input="\n").check(0)
    contains(json.dumps(document(chapters=path)), '"answer": null')
    check("another namespace" not in json.dumps(document(chapters=path)), "the answer is in the file before it was given")


def deep_set(value, path, new):
    value = json.loads(json.dumps(value))
    at = value
    for key in path[:-1]:
        at = at[key]
    if new is None:
        del at[path[-1]]
    else:
        at[path[-1]] = new
    return value


@test(timeout=120)
def test_what_was_changed_is_found():
    path = play(answer="a")
    value = document(chapters=path)
    salted = document(chapters=path, env={"NSRUN_LAB_SALT": "autumn"})
    ask = ("chapters", 0, "asks", 0)
    cases = {
        # name: (content, salt, verdict, what the message says)
        "right": (deep_set(value, ask + ("right",), True), None, "edited", "was edited"),
        "answer": (deep_set(value, ask + ("answer",), "b"), None, "edited", "was edited"),
        "hints": (deep_set(value, ("chapters", 0, "tasks", 0, "hints"), 0), None, "edited", "was edited"),
        "time": (deep_set(value, ("made",), "2020-01-01T00:00:00Z"), None, "edited", "was edited"),
        "more": (deep_set(value, ("more",), 1), None, "edited", "was edited"),
        "no-hash": (deep_set(value, ("hash",), None), None, "edited", "was edited"),
        "algorithm": (deep_set(value, ("hash", "algorithm"), "none"), None, "edited", "was edited"),
        "unsalted": (hashed(value), "autumn", "unsalted", "anybody can have done that"),
        "another-salt": (hashed(salted, "winter"), "autumn", "edited", "another salt"),
        "salt-taken-off": (deep_set(salted, ("hash", "salted"), False), "autumn", "edited", "was edited"),
        "no-salt-named": (salted, None, "wants-salt", "none was named"),
        "not-answered": (hashed(deep_set(deep_set(value, ask + ("answer",), None), ask + ("right",), True)), None, "contradicts", "own, question name: right, and not"),
        "another-is-right": (hashed(deep_set(value, ask + ("right",), True)), None, "contradicts", "own, question name: right, and another"),
        "never-tried": (hashed(deep_set(value, ("chapters", 0, "tasks", 0, "tries"), 0)), None, "contradicts", "own, task rename: solved, and never"),
        "not-solved": (hashed(deep_set(value, ("chapters", 0, "tasks", 0, "state"), "open")), None, "contradicts", "own: solved, and something"),
        "twice": (hashed({**value, "chapters": value["chapters"] * 2}), None, "contradicts", "own: it is there twice"),
    }
    for name, (content, salt, verdict, message) in cases.items():
        file = write(name + ".json", content)
        found = report("--json", file, status=1, env={"NSRUN_LAB_SALT": salt or ""})
        equal([each["verdict"] for each in json.loads(found.stdout)["learners"]], [verdict], name)
        contains(found.stderr, file, name)
        contains(found.stderr, message, name)
    # A hash that was made anew with right content is right: the page says so.
    for content, salt in ((value, None), (hashed(value), None), (salted, "autumn"), (json.dumps(value, indent=7), None)):
        found = report("-o", "-", write("good.json", content), env={"NSRUN_LAB_SALT": salt or ""})
        equal(found.stderr, "", "messages")
        contains(found.stdout, "somebody who does not know the salt is found" if salt else "whoever edits a file can make its hash anew")


@test(timeout=60)
def test_what_cannot_be_read():
    path = play()
    text = json.dumps(document(chapters=path))
    directory = tmp("results")
    os.mkfifo(os.path.join(directory, "pipe.json"))
    os.mkdir(os.path.join(directory, "directory.json"))
    for name, content, message in (
            ("empty.json", "", "it is damaged: line 1"), ("half.json", text[:len(text) // 2], "it is damaged: line 1"), ("binary.json", b"\0\377\376" * 99, "damaged"),
            ("list.json", "[]", "no file of nsrun lab report"), ("class.json", {"kind": "class"}, "no file of nsrun lab report"),
            ("other.json", {**json.loads(text), "version": 2}, "another version"), ("twice.json", '{"kind": 1, "kind": 2}', "duplicate"),
            ("deep.json", "[" * 100000, "damaged"), ("large.json", '"' + "x" * (17 << 20) + '"', "large"),
            ("many.json", {**json.loads(text), "chapters": [{"id": str(i)} for i in range(1000)]}, "more chapters"),
            ("missing.json", None, "No such file"), ("pipe.json", None, "not a regular file"), ("directory.json", None, "not a regular file")):
        file = os.path.join(directory, name) if content is None else write(name, content, directory)
        found = report("--json", file, status=1)
        check(re.search(r"^nsrun: %s: cannot be read: .*%s" % (re.escape(file), re.escape(message)), found.stderr, re.M), "%s: %r lacks %r" % (name, found.stderr, message))
        contains(found.stderr, "1 of 1 files are doubtful")
        contains(parse(report("-o", "-", file, status=1).stdout).find("body//tbody/tr/th").text, name[:-5])


# ---- a class ------------------------------------------------------------------------------------------------------

@test(timeout=120)
def test_class():
    directory, files = tmp("results"), []
    for name, answer in (("anna", "a"), ("ben", "a"), ("carla", "b")):
        path = play(answer=answer)
        files.append(write(name + ".json", document(chapters=path, env={"NSRUN_LAB_SALT": "autumn"}), directory))
    found = report("--json", *files, env={"NSRUN_LAB_SALT": "autumn"})
    value = json.loads(found.stdout)
    equal([(each["name"], each["verdict"], each["same_as"], each["chapters"]["own"]["right"], each["chapters"]["own"]["solved"]) for each in value["learners"]],
          [("anna", "sound", None, 1, 1), ("ben", "sound", None, 1, 1), ("carla", "sound", None, 2, 1)], "learners")
    equal((value["kind"], value["salted"], [(each["id"], each["title"]) for each in value["chapters"]]), ("class", True, [("own", "A chapter")]), "class")
    equal([(each["id"], each["answered"], each.get("right", 0), each["wrong"]) for each in value["chapters"][0]["questions"]],
          [("name", 3, 1, {"a) inside": 2}), ("word", 3, 3, {})], "questions")
    tree = parse(report("-o", "-", *files, env={"NSRUN_LAB_SALT": "autumn"}).stdout)
    equal([each.find("th").text for each in tree.iter("tr") if each.get("class") == "learner"], ["anna", "ben", "carla"], "learners of the page")
    hard = [text_of(each) for table in tree.iter("table") if table.get("class") == "hard" for each in table.find("tbody")]
    equal(len(hard), 1, "questions that were hard")
    contains(hard[0], "2 of 3")
    contains(hard[0], "a) inside (2)")
    # The work of another, under another name and with a hash of its own.
    copy = json.loads(open(files[0]).read())
    copy["made"] = "2030-01-01T00:00:00Z"
    files.append(write("dora.json", hashed(copy, "autumn"), directory))
    found = report("--json", *files, status=1, env={"NSRUN_LAB_SALT": "autumn"})
    equal([each["same_as"] for each in json.loads(found.stdout)["learners"]], [None, None, None, "anna"], "same as")
    equal(json.loads(found.stdout)["chapters"][0]["questions"][0]["answered"], 3, "a copy is not counted")
    contains(found.stderr, "dora.json: the same work as that of anna")
    # Which chapters there are is not for a file that was edited.
    other = json.loads(open(files[0]).read())
    other["chapters"][0].update(id="invented", title="Invented")
    forged = write("aaa.json", other, directory)
    found = report("--json", forged, *files[:3], status=1, env={"NSRUN_LAB_SALT": "autumn"})
    equal([each["id"] for each in json.loads(found.stdout)["chapters"]], ["own"], "chapters with a file that was edited")
    # Some have done nothing: that is not the same work.
    forget(None)
    idle = [write(name + ".json", document(chapters=path), directory) for name in ("emil", "frida")]
    contains(report("-o", "-", *idle).stdout, "Nobody has begun: own.")
    # A page in the place of somebody's work.
    content = open(files[0]).read()
    found = report("-o", files[0], *files, status=125, env={"NSRUN_LAB_SALT": "autumn"})
    contains(found.stderr, "would be overwritten")
    equal(open(files[0]).read(), content, "results after that")


# ---- where it goes, and what is damaged ---------------------------------------------------------------------------

@test(timeout=60)
def test_output():
    path = play()
    directory = tmp("out", mode=0o777)
    found = nsrun(["lab", "report", "--chapters", path], env=variables(None), cwd=directory).check(0)
    equal(found.stdout, "Written: nsrun-lab-report.html\n", "output")
    os.rename(os.path.join(directory, "nsrun-lab-report.html"), os.path.join(directory, "page.html"))
    target = os.path.join(directory, "page.html")
    report("-o", target, chapters=path)
    parse(open(target).read())
    equal(os.listdir(directory), ["page.html"], "files")
    equal(report("-o", "/dev/null", chapters=path).stdout, "", "output")
    # The name that nobody has named could be anybody's: a link to a file of the caller's, a FIFO without a reader.
    for make in (lambda at: os.symlink("page.html", at), os.mkfifo):
        default, content = os.path.join(directory, "nsrun-lab-report.html"), open(target).read()
        make(default)
        found = nsrun(["lab", "report", "--chapters", path], env=variables(None), cwd=directory).check(125)
        contains(found.stderr, "nsrun-lab-report.html: is there, and is no regular file")
        equal(open(target).read(), content, "what the link leads to")
        os.unlink(default)
    found = nsrun(["lab", "report", "own", "--chapters", path], env=variables(None), cwd=directory).check(125)
    contains(found.stderr, "there is no file own; it takes files that learners have handed in")
    equal(os.listdir(directory), ["page.html"], "files after that")
    os.symlink("page.html", os.path.join(directory, "link"))
    report("--json", "-o", os.path.join(directory, "link"), chapters=path)
    equal((os.path.islink(os.path.join(directory, "link")), json.loads(open(target).read())["kind"]), (True, "report"), "through a link")
    for name, message in ((directory, "Is a directory"), (directory + "/none/page", "No such file"), ("/dev/full", "No space left")):
        found = report("-o", name, chapters=path, status=125)
        contains(found.stderr, message, name)
        equal(found.stdout, "", "output")
    found = run(["sh", "-c", '"$0" "$@" >/dev/full', binary(), "lab", "report", "-o", "-", "--chapters", path], env=variables(None))
    equal(found.status, 125, "status with a full standard output")
    contains(report("--nonsense", status=125).stderr, "--nonsense")


@test(timeout=60)
def test_nothing_was_played():
    forget(None)
    path = chapter(CHAPTER)
    tree = parse(report("-o", "-", chapters=path).stdout)
    contains(text_of(tree), "Nothing was played yet")
    equal((len(list(tree.iter("figure"))), len(list(tree.iter("section")))), (0, 0), "figures and sections")
    equal(document(chapters=path)["launches"], [], "launches")


@test(timeout=60)
def test_damaged_files_of_the_lab():
    path = play()
    file = os.path.join(lab_dir(None), "launches.json")
    equal(os.stat(file).st_mode & 0o777, 0o600, "mode")
    for text in ("{", '{"version": 9, "launches": []}', '{"version": 1, "launches": {}}'):
        write("launches.json", text, lab_dir(None))
        found = report(chapters=path, status=125)
        contains(found.stderr, "launches.json: it is damaged; nsrun lab reset begins anew")
    lab("reset", "own", chapters=path)
    lab("reset", chapters=path).check(0)
    check(not os.path.exists(file), "launches.json is still there")
    # Solving by itself is nobody's work.
    lab("solve", "own", chapters=path).check(0)
    check(not os.path.exists(file), "a proof was taken down")


@test(timeout=60)
def test_any_json_makes_a_page():
    """Somebody has edited launches.json: what has another form is left out, nothing is taken for what it is not."""
    path = play()
    file = os.path.join(lab_dir(None), "launches.json")
    good = json.load(open(file))
    dice = random.Random(1)
    odd = [None, True, -1, 2**62, 1e300, "", HOSTILE, [], {}, [[]], [{}], {"inode": 1, "owner": 1}, "x" * 3000]

    def spoil(value, chance):
        if dice.random() < chance:
            return dice.choice(odd)
        if isinstance(value, list):
            return [spoil(each, chance) for each in value] * (50 if dice.random() < chance / 8 else 1)
        if isinstance(value, dict):
            return {key: spoil(each, chance) for key, each in value.items()}
        return value
    for turn in range(24):
        spoiled = {"version": 1, "launches": [spoil(each, (0.5, 0.1, 0.02)[turn % 3]) for each in good["launches"] * 2]}
        write("launches.json", spoiled, lab_dir(None))
        try:
            parse(report("-o", "-", chapters=path).stdout)
        except BaseException:
            print("launches.json of turn %d: %s" % (turn, json.dumps(spoiled)[:3000]))
            raise
    # Mounts that are their own parents, namespaces that own each other.
    ring = good["launches"][0]
    for index, mount in enumerate(ring["mounts"]):
        mount["id"], mount["parent"] = index, (index + 1) % len(ring["mounts"])
    ring["namespaces"]["container"]["user"]["owner"] = ring["namespaces"]["container"]["uts"]["inode"] = 7
    ring["namespaces"]["host"]["user"] = {"inode": 7, "owner": ring["namespaces"]["container"]["user"]["inode"]}
    write("launches.json", {"version": 1, "launches": [ring]}, lab_dir(None))
    tree = parse(report("-o", "-", chapters=path).stdout)
    equal(len(classes(tree, "rect", "mount")), len(ring["mounts"]), "mounts")


if __name__ == "__main__":
    main()
