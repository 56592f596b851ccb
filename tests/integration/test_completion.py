# SPDX-License-Identifier: Apache-2.0
"""Completion: what the shells themselves offer for a line, with the files that the build wrote."""
import os
import re
import subprocess

from harness import *


def completion(name):
    return os.path.join(os.path.dirname(built("NSRUN_RELEASE")), "docs/completion", name)


def bash(line, cwd=None):
    """What bash offers for a line, as a set. The line is cut into words as readline does it."""
    words = re.findall(r"[=:]+|[^\s=:]+", line)
    if line[-1] in " ":
        words.append("")
    script = r"""
    nsrun=$1 file=$2; shift 2
    source "$file"
    complete -p nsrun >/dev/null
    COMP_WORDS=("$nsrun" "$@") COMP_CWORD=$#
    _nsrun
    printf '%s\n' "${COMPREPLY[@]}"
    """
    result = run(["bash", "--norc", "-c", script, "bash", binary(), completion("nsrun"), *words[1:]], cwd=cwd,
                 env={"HOME": tmp("home")}).check(0, stderr="")
    equal(result.stderr, "", "messages of the completion")
    return set(result.stdout.split("\n")) - {""}


def fish(line, cwd=None):
    needs_program("fish")
    home = tmp("fish")
    path = os.path.dirname(binary())
    script = "set PATH '%s' $PATH; source '%s'; complete -C '%s'" % (path, completion("nsrun.fish"), line)
    result = run(["fish", "--no-config", "-c", script], cwd=cwd, env={"HOME": home}).check(0)
    return set(one.split("\t")[0] for one in result.stdout.splitlines())


def place():
    """A directory with a rootfs and files to be offered."""
    parent = tmp("place")
    for name in ("rootfs/bin", "rootfs/etc", "data"):
        os.makedirs(os.path.join(parent, name), exist_ok=True)
    for name in ("file.json", "rootfs/bin/busybox", "rootfs/etc/passwd"):
        open(os.path.join(parent, name), "w").close()
    return parent


def offered(line, *wanted, without=(), shell=bash, cwd=None):
    got = shell(line, cwd=cwd)
    for word in wanted:
        check(word in got, "%s: %r lacks %s: %s" % (shell.__name__, line, word, sorted(got)[:30]))
    for word in without:
        check(word not in got, "%s: %r offers %s" % (shell.__name__, line, word))
    return got


def commands():
    """What nsrun --help lists."""
    text = nsrun(["--help"]).check(0).stdout
    found = re.search(r"nsrun COMMAND \[--help\] \[ARG...\] +((?:[a-z]+\s+)+)Identity", text).group(1).split()
    check("gc" in found and "help" in found, "commands: %s" % found)
    return found


def test_first_word():
    here = place()
    offered("nsrun ", "gc", "help", "rootfs", "data", without=["file.json"], cwd=here)
    offered("nsrun g", "gc", without=["help"], cwd=here)
    for command in commands():
        offered("nsrun " + command[:-1], command)


def test_every_built_option():
    options = set(re.findall(r"^ .{5}(--[a-z-]+)", nsrun(["--help"]).check(0).stdout, re.M))
    check(len(options) > 25, "options: %s" % options)
    equal({word.rstrip("=") for word in bash("nsrun -")} ^ options, set(), "bash offers and --help lists")
    got = offered("nsrun --mem", "--memory=")
    check(all(word.startswith("--mem") for word in got), "offered: %s" % got)


def test_options_of_commands():
    for command in commands():
        text = nsrun([command, "--help"]).check(0).stdout
        options = set(re.findall(r"^ .{5}(--[a-z-]+)", text, re.M)) | {"--help"}
        equal({word.rstrip("=") for word in bash("nsrun %s --" % command)}, options, "options of %s" % command)


def test_values():
    offered("nsrun --trace=", "text", "json")
    offered("nsrun --trace=j", "json", without=["text"])
    offered("nsrun --network n", "none")
    offered("nsrun --network=n", "none")
    offered("nsrun --init=", "true", "false")
    offered("nsrun --cap-add SYS_A", "SYS_ADMIN")
    offered("nsrun --cap-drop=AL", "ALL")
    offered("nsrun --userns-remap ro", "root")
    offered("nsrun --userns-remap=au", "auto")
    offered("nsrun --security-opt seccomp=d", "default", "docker")
    offered("nsrun --security-opt=no-new", "no-new-privileges")


def test_files():
    here = place()
    offered("nsrun -v ", "file.json", "data", cwd=here)
    offered("nsrun -itv da", "data", without=["file.json"], cwd=here)
    offered("nsrun --volume=./f", "./file.json", cwd=here)
    offered("nsrun --security-opt seccomp=f", "file.json", cwd=here)
    equal(bash("nsrun -v data:/x", cwd=here), set(), "the container's side of a volume")


def test_behind_rootfs():
    """The value of an option is no rootfs; behind ROOTFS are the container's programs and files, and no options."""
    here = place()
    offered("nsrun -m 1g -it --cpus=2 --memory 1g r", "rootfs", cwd=here)
    offered("nsrun -w /srv --env=A=B rootfs bu", "busybox", cwd=here)
    offered("nsrun rootfs/ /etc/p", "/etc/passwd", cwd=here)
    equal(bash("nsrun rootfs --", cwd=here), set(), "options behind ROOTFS")
    offered("nsrun -- r", "rootfs", cwd=here)


def test_names_of_containers():
    needs_root()
    nsrun(["--userns-remap", dummy().name, "-d", "--name", "webserver", rootfs(owner=dummy()), "/bin/sleep", "300"]).check(0)
    try:
        for command in ("stop", "kill", "rm", "inspect", "logs", "top", "wait", "attach"):
            offered("nsrun %s w" % command, "webserver")
        offered("nsrun stop other ", "webserver")
        offered("nsrun stop w", "webserver", shell=fish)
        offered("nsrun stop ", "webserver", shell=zsh)
        equal(bash("nsrun top other w"), set(), "top takes one name")
        equal(bash("nsrun gc w"), set(), "nsrun gc takes no names")
    finally:
        nsrun(["rm", "-f", "webserver"]).check(0)


def test_chapters_of_the_lab():
    """From the binary's own tree: not of a copy that other users can reach."""
    beside = os.path.isdir(os.path.join(os.path.dirname(os.path.dirname(binary())), "docs/labs"))
    chapters = ["uts"] if beside else []
    offered("nsrun lab ", "list", "check", "solve", "reset", *chapters, without=["CHAPTER", "README"])
    offered("nsrun lab solve ut", *chapters)
    offered("nsrun lab ", "solve", *chapters, shell=fish)
    offered("nsrun lab ", "solve", *chapters, shell=zsh)


def test_arguments_of_help():
    offered("nsrun help ", "gc", "files", "limits")


def test_syntax():
    run(["bash", "-n", completion("nsrun")]).check(0, stdout="")
    for shell, name in (("zsh", "_nsrun"), ("fish", "nsrun.fish")):
        needs_program(shell)
        equal(run([shell, "-n", completion(name)]).check(0).stderr, "", "%s -n" % shell)


def test_readline():
    """What a person sees: the word is completed behind = and :, with a blank where it ends and none where it goes on."""
    here = place()
    with Pty(["bash", "--norc", "--noprofile", "-i"], env={"PS1": "ready> ", "PATH": os.path.dirname(binary()) + ":/usr/bin:/bin"},
             cwd=here) as terminal:
        terminal.expect("ready> ")
        terminal.write("bind 'set enable-bracketed-paste off'; source '%s'\n" % completion("nsrun"))
        for typed, wanted in (("nsrun --network=no", "nsrun --network=none "), ("nsrun --trace-f", "nsrun --trace-file="),
                              ("nsrun --security-opt seccomp=un", "nsrun --security-opt seccomp=unconfined "),
                              ("nsrun --cap-dr", "nsrun --cap-drop="), ("nsrun rootf", "nsrun rootfs/"), ("nsrun hel", "nsrun help "),
                              ("nsrun rootfs/ /etc/pa", "nsrun rootfs/ /etc/passwd ")):
            start = len(terminal.text)
            terminal.write("\x15" + typed + "\t|")  # never entered: ^U takes it away again
            terminal.expect(re.escape(wanted + "|"), start=start)


def test_fish():
    here = place()
    offered("nsrun g", "gc", shell=fish, cwd=here)
    offered("nsrun --mem", "--memory", shell=fish, cwd=here)
    offered("nsrun --trace=", "--trace=json", shell=fish, cwd=here)
    offered("nsrun --network n", "none", shell=fish, cwd=here)
    offered("nsrun --cap-add SYS_A", "SYS_ADMIN", shell=fish, cwd=here)
    offered("nsrun -v da", "data/", shell=fish, cwd=here)
    offered("nsrun ro", "rootfs/", shell=fish, cwd=here)
    offered("nsrun help fi", "files", shell=fish, cwd=here)
    offered("nsrun gc --", "--help", without=["--memory"], shell=fish, cwd=here)


def zsh(line, cwd=None):
    """zsh completes on a terminal alone: the list that it shows."""
    needs_program("zsh")
    home = tmp("zsh")
    os.makedirs(os.path.join(home, "functions"), exist_ok=True)
    with open(completion("_nsrun")) as source, open(os.path.join(home, "functions/_nsrun"), "w") as copy:
        copy.write(source.read())
    with open(os.path.join(home, ".zshrc"), "w") as file:
        file.write("fpath=(%s/functions $fpath)\nautoload -Uz compinit && compinit -u -D\nPS1='ready> '\nsetopt no_always_last_prompt\n"
                   "setopt auto_list no_list_ambiguous\nzstyle ':completion:*' list-prompt ''\nLISTMAX=1000\nbindkey '^I' list-choices\n" % home)
    with Pty(["zsh", "-i"], env={"HOME": home, "ZDOTDIR": home, "PATH": os.path.dirname(binary()) + ":/usr/bin:/bin"}, rows=200, columns=150,
             cwd=cwd) as terminal:
        terminal.expect("ready> ")
        terminal.write(line + "\t")
        start = len(terminal.text)
        terminal.expect(r"\n", start=start)
        while terminal.pump(0.5):
            pass
        return set(re.split(r"\s+", re.sub(r"\x1b[^a-zA-Z]*[a-zA-Z]", " ", terminal.text[start:])))


def test_zsh():
    here = place()
    offered("nsrun ", "gc", "help", "rootfs/", shell=zsh, cwd=here)
    offered("nsrun --me", "--memory", shell=zsh, cwd=here)
    offered("nsrun --network ", "none", shell=zsh, cwd=here)
    offered("nsrun --cap-add=SYS_", "SYS_ADMIN", shell=zsh, cwd=here)
    offered("nsrun help ", "files", shell=zsh, cwd=here)


if __name__ == "__main__":
    main()
