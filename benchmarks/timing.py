"""How contestants are timed: they take turns, and the least time of all rounds counts."""

import time

import numpy as np


def least_seconds(runs, rounds, clock=time.perf_counter):
    """Seconds of the fastest round of each of `runs` (functions without arguments), in their order.

    Taking turns lets whatever else the machine does hit all of them alike; clock: `time.process_time` counts
    what this process computes alone.
    """
    least = [np.inf] * len(runs)
    for _ in range(rounds):
        for number, run in enumerate(runs):
            start = clock()
            run()
            least[number] = min(least[number], clock() - start)
    return least
