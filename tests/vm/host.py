# SPDX-License-Identifier: Apache-2.0
"""What the tests of the machine itself share, which run on the host."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from harness import *

RUN = os.path.join(TOP, "tests/vm/run")
# What tests/vm/run is told by the caller's environment: where its cache is.
ENV = {name: os.environ[name] for name in ("NSRUN_VM_CACHE", "XDG_CACHE_HOME", "HOME") if name in os.environ}


def vm(options, *command, timeout=120, **how):
    options = options.split() if isinstance(options, str) else options
    return run([RUN, *options, "--", *command], timeout=timeout, env=ENV, **how)


def machines(word):
    """Processes of QEMU whose command line has this."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/cmdline" % name, "rb") as file:
                    line = file.read().split(b"\0")
            except OSError:
                continue
            if line[0].endswith(b"qemu-system-x86_64") and any(word.encode() in part for part in line):
                found.append(int(name))
    return found
