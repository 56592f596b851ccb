# SPDX-License-Identifier: Apache-2.0
"""The same container under other runtimes: nsrun --spec writes their bundle. Their packaged versions are what is compared."""
import contextlib
import json
import os
import shutil
import subprocess
import time

from common import *

GOALS = {"crun": 1 / 2.5, "runc": 1 / 10}  # performance: so much of their time
COLD_RUNS = 9


def version(engine):
    words = subprocess.run([engine, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")[0].split()
    return words[-1]


def write_bundle(bench, path, words):
    os.makedirs(path, exist_ok=True)
    spec = subprocess.run(bench.launch(*words, options=["--spec", "--hostname", "bench", "-t=false"]), check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL).stdout
    with open(os.path.join(path, "config.json"), "wb") as f:
        f.write(spec)
    return path


def engine_command(engine, bundle, verb, name):
    return [engine, "--root", os.path.join("/run", "bench-" + engine), verb, "--bundle", bundle, name]


def commands(bench):
    """name -> a command that runs /bin/true in the bench's rootfs and ends."""
    bundle = write_bundle(bench, os.path.join(bench.work, "bundle"), ["/bin/true"])
    out = {}
    for engine in ("crun", "runc"):
        if shutil.which(engine):
            out[engine] = engine_command(engine, bundle, "run", "bench")
        else:
            report(False, "%s is not installed" % engine)
    if shutil.which("bwrap"):
        # Without filter, group and network set-up: it does less, and is here for the scale.
        out["bwrap"] = ["bwrap", "--unshare-all", "--uid", "0", "--gid", "0", "--bind", bench.rootfs, "/", "--proc", "/proc", "--dev", "/dev",
                        "--new-session", "--die-with-parent", "--clearenv", "--setenv", "PATH", "/bin", "/bin/true"]
    else:
        report(False, "bwrap is not installed")
    return out


def cold(command):
    """Seconds with nothing of it in the page cache."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")
    begin = time.monotonic()
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def measure(bench, args, gates):
    v2_alone()
    ours = bench.launch()
    others = commands(bench)
    for name, command in others.items():
        def warm(name=name, command=command):
            got = bench.pair(ours, command, max(20, args.pairs // 3), 3)
            print("nsrun median %6.1f ms, %s %s median %6.1f ms" % (got["a"]["median"] / 1e3, name, version(name), got["b"]["median"] / 1e3))
            return got["ratio"]
        gates.check("launch/" + name, warm, "a launch takes %.3f times that of " + name, GOALS.get(name))
    for name, command in others.items():
        def colds(name=name, command=command):
            pairs = sorted(((cold(ours), cold(command)) for _ in range(COLD_RUNS)), key=lambda pair: pair[0] / pair[1])
            a, b = pairs[len(pairs) // 2]
            print("cold: nsrun %.1f ms, %s %.1f ms" % (a * 1e3, name, b * 1e3))
            return a / b
        if not os.access("/proc/sys/vm/drop_caches", os.W_OK):
            report(None, "cold starts: /proc/sys/vm/drop_caches cannot be written")
            break
        gates.check("cold/" + name, colds, "a cold launch takes %.3f times that of " + name)


@contextlib.contextmanager
def running(bench, engines):
    """A container of nsrun and one of each engine, asleep; yields name -> a command that executes /bin/true in it."""
    bundle = write_bundle(bench, os.path.join(bench.work, "bundle-sleep"), ["/bin/sleep", "1000"])
    out, ends = {}, []
    subprocess.run(bench.launch("/bin/sleep", "1000", options=["-d", "--rm", "--name", "bench-exec"]), check=True, stdout=subprocess.DEVNULL)
    ends.append([bench.nsrun, "rm", "-f", "bench-exec"])
    out["nsrun"] = [bench.nsrun, "exec", "bench-exec", "/bin/true"]
    try:
        for engine in engines:
            root = os.path.join("/run", "bench-" + engine)
            subprocess.run([engine, "--root", root, "run", "--detach", "--bundle", bundle, "bench-exec"], check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ends.append([engine, "--root", root, "delete", "--force", "bench-exec"])
            out[engine] = [engine, "--root", root, "exec", "bench-exec", "/bin/true"]
        yield out
    finally:
        for command in ends:
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure_exec(bench, args, gates):
    v2_alone()
    engines = [engine for engine in ("crun", "runc") if shutil.which(engine)]
    with running(bench, engines) as execs:
        for engine in engines:
            def ratio(engine=engine):
                got = bench.pair(execs["nsrun"], execs[engine], max(20, args.pairs // 3), 3)
                print("exec: nsrun median %5.1f ms, %s %5.1f ms" % (got["a"]["median"] / 1e3, engine, got["b"]["median"] / 1e3))
                return got["ratio"]
            gates.check("exec/" + engine, ratio, "exec takes %.3f times that of " + engine, 0.5 if engine == "crun" else None)
