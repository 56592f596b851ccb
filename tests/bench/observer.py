# SPDX-License-Identifier: Apache-2.0
"""What the lab's observer costs a launch that nobody watches: nsrun against the same program without the place at which launches are held."""
import os

from common import *

# A launch is some 5 ms; a load and a branch for each of its rows are less than a ten-thousandth of that. What is measured is whether more has come to it.
LIMIT = 1.02


def measure(bench, args, gates):
    with_, without = bench.launch(), bench.launch()
    without[0] = os.path.join(bench.build, "tests", "bench", "nsrun-unwatched")

    def ratio():
        # Either comes first once, so that coming first counts for neither.
        first, second = bench.pair(with_, without, args.pairs), bench.pair(without, with_, args.pairs)
        noise = bench.pair(without, without, args.pairs)["ratio"]
        found = (first["ratio"] / second["ratio"]) ** 0.5
        print("with %.0f us, without %.0f us, ratio %.4f; without against itself %.4f; load average %.1f" % (
            (first["a"]["median"] + second["b"]["median"]) / 2, (first["b"]["median"] + second["a"]["median"]) / 2, found, noise, os.getloadavg()[0]))
        # What a program differs by from itself says nothing.
        return found / max(noise, 1 / noise)
    gates.check("observer/absent", ratio, "a launch that nobody watches takes %.4f times one that cannot be watched", 1.01, limit=LIMIT)
