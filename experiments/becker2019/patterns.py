"""The two line searches that the paper shows plot by plot, looked for in traces.

Figure 3 (claim 3): phase one only, three plots; the cubics of the first two have their minimum beyond
the interval and the upper bound is taken, the third one's minimum is accepted.
Figure 4 (claim 4): three extrapolations by the upper bound whose cubics have no minimum, five
quadratics whose minimum is too small, so that the lower bound is taken, and an accepted cubic.
"""

from collections import Counter
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from gdlab.linesearch import two_phase
from gdlab.optim import conjugate_gradient
from gdlab.problems import rosenbrock
from gdlab.records import CUBIC, EXTRAPOLATE, OK, QUADRATIC, SHRINK, TRACE_COLUMNS
from gdlab.training.loop import Steps, make_training

ITERATIONS = 60
SIGMAS = (1e-4, 0.9)  # the range that is scanned, in equal ratios


class Pattern(NamedTuple):
    """Where a pattern was seen: k, and what decides between "seen" and "seen as in the figure".

    claim 3: `exact` where both cubics have a minimum beyond the bound, not none at all.
    claim 4: `exact` where all five quadratics end at the lower bound; `bounds` counts them.
    """

    claim: int
    iteration: int
    bounds: int
    exact: bool


class Scanned(NamedTuple):
    """One descent of the scan: sigma, J at iteration 22 (NaN if it ended before), J at its end, Patterns."""

    sigma: float
    at_22: float
    last: float
    patterns: list


def patterns(iteration, rows):
    """[Pattern] of one search from its trace rows [n, 17] (TRACE_COLUMNS), the accepted one last."""
    column = {name: rows[:, number] for number, name in enumerate(TRACE_COLUMNS)}
    phase, kind, lowest = column["phase"], column["kind"], column["minimiser"]
    at_upper, at_lower = (
        np.isclose(column["next_eta"], column[side], rtol=1e-6) for side in ("upper", "lower")
    )
    found = []
    if len(rows) == 4 and (phase == EXTRAPOLATE).all():
        exact = bool((lowest[:2] > column["upper"][:2]).all())
        if at_upper[:2].all() and not (at_upper[2] or at_lower[2]):
            found.append(Pattern(3, iteration, 2, exact))
    if len(rows) == 10 and (phase[:3] == EXTRAPOLATE).all() and (phase[3:] == SHRINK).all():
        extrapolated = at_upper[:3].all() and np.isnan(lowest[:3]).all()
        if extrapolated and (kind[3:8] == QUADRATIC).all() and kind[8] == CUBIC:
            bounds = int(at_lower[3:8].sum())
            found.append(Pattern(4, iteration, bounds, bounds == 5))
    return found


def of_run(run):
    """[Pattern] of a recorded run's accepted searches."""
    status = run.table("steps").columns["status"]
    trace = run.table("evaluations").columns
    rows = np.stack([trace[name] for name in TRACE_COLUMNS], axis=1)
    found = []
    for iteration in np.unique(trace["iteration"]):
        if status[iteration] == OK:
            found += patterns(int(iteration), rows[trace["iteration"] == iteration])
    return found


def scan(count):
    """[Scanned] of Rosenbrock's function for `count` sigmas of the range SIGMAS, in float64.

    The line search is the paper's to the letter, version 1: it is the paper's figures that are looked for.
    """
    # Nothing else here sets the precision where all runs are already there.
    with jax.enable_x64(True):
        descent = _descent()
        return [_scanned(sigma, *jax.device_get(descent(sigma))) for sigma in np.geomspace(*SIGMAS, count)]


def _descent():
    """Jitted sigma -> (StepInfo [ITERATIONS], collected, iterations done): one program for all of them."""
    problem, key = rosenbrock(), jax.random.key(0)
    steps = Steps(None, np.arange(ITERATIONS) == 0, np.zeros(ITERATIONS, np.int32))

    @jax.jit
    def descent(sigma):
        optimizer = conjugate_gradient(line_search=partial(two_phase, sigma=sigma, version=1))
        training = make_training(problem, optimizer, length=ITERATIONS)
        return training.chunk(training.init(key, None), None, key, steps, ITERATIONS)[1:]

    return descent


def _scanned(sigma, infos, collected, done):
    del collected
    seen = []
    for k in np.flatnonzero(infos.status[:done] == OK):
        seen += patterns(int(k), infos.line_search.rows[k, : infos.evaluations[k]])
    at_22 = float(infos.loss[22]) if done > 22 else np.nan
    return Scanned(float(sigma), at_22, float(infos.loss_end[done - 1]), seen)


def seen_at(scanned, claim, *, exact=False):
    """(smallest sigma, largest sigma, how many, Counter of k) with the claim's pattern; None: nowhere."""
    hits = [
        (one.sigma, p.iteration)
        for one in scanned
        for p in one.patterns
        if p.claim == claim and (p.exact or not exact)
    ]
    if not hits:
        return None
    sigmas = sorted({sigma for sigma, _ in hits})
    return sigmas[0], sigmas[-1], len(sigmas), Counter(k for _, k in hits)
