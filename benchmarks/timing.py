"""How contestants are timed: they take turns, and the least time of all rounds counts."""

import time

import numpy as np


def least_seconds(runs, rounds):
    """Seconds of the fastest round of each of `runs` (functions without arguments), in their order.

    Taking turns lets whatever else the machine does hit all of them alike.
    """
    least = [np.inf] * len(runs)
    for _ in range(rounds):
        for number, run in enumerate(runs):
            start = time.perf_counter()
            run()
            least[number] = min(least[number], time.perf_counter() - start)
    return least
