# SPDX-License-Identifier: Apache-2.0
# vm: host
"""How long it takes from tests/vm/run to the status of `true`; the suite runs this before the machines that share the processors."""
from host import *


def fastest(options, bound):
    """The best of three, against the bound for an idle host: more processes than processors, and it takes as much longer."""
    times = []
    for _ in range(3):
        busy = max(1.0, os.getloadavg()[0] / os.cpu_count())
        times.append(vm(options, "true").check(0, "").duration)
        if times[-1] < bound * busy * SLOW:
            print("# %s: %s s, load %.1f" % (" ".join(options) or "plain", ", ".join("%.1f" % each for each in times), os.getloadavg()[0]))
            return
    fail("true took %s s; bound %.1f s" % (", ".join("%.1f" % each for each in times), bound * busy * SLOW))


@test(timeout=300)
def test_true():
    fastest([], 8)


@test(timeout=300)
def test_true_with_systemd():
    fastest(["--systemd"], 20)


if __name__ == "__main__":
    main()
