# SPDX-License-Identifier: Apache-2.0
"""The OCI commands against crun's and runc's, on the same bundle: a config.json that Docker wrote, with its filter, masks and mounts. With limits
of memory, processor and processes against runc alone where controllers are v1's and the v2 hierarchy has one as well, which crun refuses."""
import json
import os
import shutil
import subprocess

from common import *
from load import peak_of

GOALS = {"crun": 1.0, "runc": 0.5}
ENGINES = ("crun", "runc")
SIZES = [kib << 10 for kib in (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 32768)]


def write_bundle(bench, name, words, memory=None):
    """Docker's own document with what belongs to its host taken out."""
    path = os.path.join(bench.work, name)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(TOP, "tests", "data", "oci", "docker-config-1.json"), encoding="utf-8") as file:
        config = json.load(file)
    config.pop("hooks", None)
    config["root"] = {"path": bench.bundle_rootfs, "readonly": False}
    config["process"].update(terminal=False, args=list(words), cwd="/")
    config["process"].pop("rlimits", None)
    config["process"].pop("apparmorProfile", None)
    config["process"].pop("oomScoreAdj", None)
    config["mounts"] = [mount for mount in config["mounts"] if mount.get("type") != "bind"]
    config["linux"]["namespaces"] = [{"type": kind} for kind in ("mount", "network", "uts", "pid", "ipc")]
    resources = config["linux"].setdefault("resources", {})
    for key in ("blockIO", "hugepageLimits", "network"):
        resources.pop(key, None)
    for key in ("memory", "cpu", "pids"):
        resources.pop(key, None)
    if not memory:  # with them crun raises its own limit of locked memory, which takes CAP_SYS_RESOURCE
        resources.pop("devices", None)
    else:
        resources.update(memory={"limit": memory}, cpu={"quota": 50000, "period": 100000}, pids={"limit": 100})
    config["linux"]["cgroupsPath"] = "/nsrun-bench/" + name
    with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    return path


def program(bench, engine):
    return [bench.nsrun if engine == "nsrun" else engine, "--root", os.path.join("/run", "bench-bundle-" + engine)]


def run_of(bench, engine, bundle):
    return program(bench, engine) + ["run", "--bundle", bundle, "bench"]


def life_of(bench, engine, bundle):
    """create, start, and delete once it has ended, by one shell for each engine."""
    words = " ".join(program(bench, engine))
    script = "%s create --bundle %s bench </dev/null >/dev/null && %s start bench && until %s delete bench 2>/dev/null; do :; done" % (
        words, bundle, words, words)
    return ["/bin/sh", "-c", script]


def compare(bench, args, gates, what, command_of, installed):
    for engine in installed:
        def ratio(engine=engine):
            got = bench.pair(command_of("nsrun"), command_of(engine), max(20, args.pairs // 4), 3)
            print("%s: nsrun median %5.1f ms, %s %5.1f ms" % (what, got["a"]["median"] / 1e3, engine, got["b"]["median"] / 1e3))
            return got["ratio"]
        gates.check("bundle-%s/%s" % (what, engine), ratio, what + " of a bundle takes %.3f times that of " + engine, GOALS[engine])


def smallest(bench, engine):
    """KiB of the smallest memory limit with which /bin/true starts; None where none does."""
    for size in SIZES:
        bundle = write_bundle(bench, "bundle-small", ["/bin/true"], size)
        ended = subprocess.run(run_of(bench, engine, bundle), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if ended.returncode == 0:
            return size >> 10
        subprocess.run(program(bench, engine) + ["delete", "--force", "bench"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    return None


def measure(bench, args, gates):
    installed = [engine for engine in ENGINES if shutil.which(engine)]
    for engine in set(ENGINES) - set(installed):
        report(False, "%s is not installed" % engine)
    bench.bundle_rootfs = os.path.join(bench.work, "bundle-rootfs")
    if not os.path.exists(bench.bundle_rootfs):
        subprocess.run([os.path.join(TOP, "rootfs-scripts", "busybox"), bench.bundle_rootfs], check=True, stdout=subprocess.DEVNULL)
    if "runc" in installed:
        limited = write_bundle(bench, "bundle-limited", ["/bin/true"], 64 << 20)
        compare(bench, args, gates, "limited-run", lambda engine: run_of(bench, engine, limited), ["runc"])
    least = {engine: smallest(bench, engine) for engine in ("nsrun", "runc")}
    print("smallest memory limit (KiB): " + ", ".join("%s %s" % pair for pair in least.items()))
    gates.check("bundle-smallest-memory-kib", least["nsrun"], "the smallest memory limit of a bundle under which /bin/true runs is %d", None,
                " KiB")
    v2_alone()
    bundle = write_bundle(bench, "bundle-true", ["/bin/true"])
    compare(bench, args, gates, "run", lambda engine: run_of(bench, engine, bundle), installed)
    compare(bench, args, gates, "life", lambda engine: life_of(bench, engine, bundle), installed)
    asleep = write_bundle(bench, "bundle-asleep", ["/bin/sleep", "1000"])
    started = []
    try:
        for engine in ["nsrun"] + installed:
            with open(os.path.join(asleep, "config.json"), encoding="utf-8") as file:
                config = json.load(file)
            config["linux"]["cgroupsPath"] = "/nsrun-bench/asleep-" + engine
            with open(os.path.join(asleep, "config.json"), "w", encoding="utf-8") as file:
                json.dump(config, file)
            subprocess.run(program(bench, engine) + ["run", "--detach", "--bundle", asleep, "asleep"], check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            started.append(engine)
        compare(bench, args, gates, "exec", lambda engine: program(bench, engine) + ["exec", "asleep", "/bin/true"], installed)
    finally:
        for engine in started:
            subprocess.run(program(bench, engine) + ["delete", "--force", "asleep"], check=False, stdout=subprocess.DEVNULL)
    talks = write_bundle(bench, "bundle-talks", ["/bin/sh", "-c", "echo on; exec sleep 5"])
    peaks = {}
    for engine in ["nsrun"] + installed:
        peaks[engine] = peak_of(run_of(bench, engine, talks))
        subprocess.run(program(bench, engine) + ["delete", "--force", "bench"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    print("peak memory (KiB): " + ", ".join("%s %d" % pair for pair in peaks.items()))
    for engine in installed:
        gates.check("bundle-peak/" + engine, peaks["nsrun"] / peaks[engine], "peak memory of run is %.2f times that of " + engine)
