"""Claims 1 to 6: what single line searches and their segments do.

The verdicts' rules stand beside the measurements and were fixed before measuring.
"""

import numpy as np

from experiments.becker2019 import patterns
from experiments.becker2019.evidence import BATCH, MINIBATCH, ROSENBROCK, losses, runs_by_name, setting
from experiments.tables import PARTLY, REFUTED, REPRODUCED, Claim
from gdlab.analysis import search, segments
from gdlab.execution.probing import run_probe
from gdlab.records import OK

MINIMUM_WITHIN = 0.05  # claim 6: of a step width, what a search of sigma 0.05 leaves on a parabola
ORDINARY_SIGMA = 0.1  # claim 1: the scan up to here


def error_at_22(evidence):
    """Claim 1: J at iteration 22."""
    value = losses(evidence.rosenbrock)[22]
    others = np.array([one.at_22 for one in evidence.scanned if one.sigma <= ORDINARY_SIGMA])
    others = others[np.isfinite(others)]
    within = float(((others >= 1e-17) & (others <= 1e-14)).mean())
    last = max(one.last for one in evidence.scanned if one.sigma <= ORDINARY_SIGMA)
    return Claim(
        1,
        "Rosenbrock from (-1.2, 1): error about 1e-15 at iteration 22",
        "≈ 1e-15",
        f"{value:.2g}. J at one iteration depends erratically on σ, which the paper does not give: over "
        f"{len(others)} σ from 1e-4 to 0.1 it ranges from {others[others > 0].min():.1g} to "
        f"{others.max():.1g}, {within:.0%} within 1e-17 ... 1e-14; the final error is at most {last:.1g}",
        REPRODUCED if 1e-17 <= value <= 1e-14 else PARTLY if within > 0 else REFUTED,
        f"{ROSENBROCK} (σ = 0.011)",
        {"loss_22": value, "share_within": within, "largest_final": last},
    )


def noise(evidence):
    """Claim 2: which segments the noise indicator marks."""
    table = _segments(evidence.rosenbrock)
    marked = table.columns["iteration"][table.columns["noisy"]]
    drawn = table.columns["iteration"][np.isfinite(table.columns["offset"][:, 0])]
    level = table.columns["noise"]
    last = len(marked) > 0 and (marked == drawn[-len(marked) :]).all()
    text = ", ".join(f"{k}: {level[k]:.2g}" for k in drawn[-5:])
    return Claim(
        2,
        "Only the last segments are noisy",
        "the last two segments",
        f"marked: {', '.join(map(str, marked)) or 'none'} of {len(drawn)} segments; noise over variation "
        f"(threshold {table.attrs['threshold']:g}) at the end: {text}",
        REPRODUCED if last and len(marked) <= 3 else PARTLY if len(marked) else REFUTED,
        f"{ROSENBROCK}, probe segments",
        {"marked": marked.tolist(), "noise": {int(k): float(level[k]) for k in drawn[-5:]}},
    )


def phase_one_only(evidence):
    """Claim 3: the pattern of Figure 3."""
    here = [p for p in patterns.of_run(evidence.rosenbrock) if p.claim == 3]
    loose, strict = (patterns.seen_at(evidence.scanned, 3, exact=exact) for exact in (False, True))
    galaxy = _in_galaxies(evidence, 3)
    found = bool(loose or strict or here)
    measured = (
        f"σ = 0.011: {_where(here)}. Over {len(evidence.scanned)} σ from {patterns.SIGMAS[0]:g} to "
        f"{patterns.SIGMAS[1]:g}: {_scan_text(loose)}; with the minimum of both cubics beyond the bound, as "
        f"the figure shows (else they have none): {_scan_text(strict)}. Galaxy searches with the figure's "
        f"pattern: {galaxy}"
    )
    return Claim(
        3,
        "A search with three phase-one plots, the first two at the upper bound",
        "k = 15",
        measured,
        REPRODUCED if any(p.exact for p in here) else PARTLY if found else REFUTED,
        f"{ROSENBROCK}; {len(evidence.scanned)} descents over σ",
        {"here": [p._asdict() for p in here], "scan": _plain(loose), "scan_exact": _plain(strict)},
    )


def both_phases(evidence):
    """Claim 4: the pattern of Figure 4."""
    here = [p for p in patterns.of_run(evidence.rosenbrock) if p.claim == 4]
    loose, strict = (patterns.seen_at(evidence.scanned, 4, exact=exact) for exact in (False, True))
    most = max((p.bounds for p in here), default=0)
    found = bool(loose or here)
    return Claim(
        4,
        "A search with three extrapolations without a minimum, five quadratics at the lower bound, one cubic",
        "k = 10",
        f"σ = 0.011: {_where(here)}, with {most} of the five quadratics at the lower bound. Over "
        f"{len(evidence.scanned)} σ: {_scan_text(loose)}; all five at the lower bound: {_scan_text(strict)}. "
        f"Galaxy searches with the figure's pattern: {_in_galaxies(evidence, 4)}",
        REPRODUCED if any(p.exact for p in here) else PARTLY if found else REFUTED,
        f"{ROSENBROCK}; {len(evidence.scanned)} descents over σ",
        {"here": [p._asdict() for p in here], "scan": _plain(loose), "scan_exact": _plain(strict)},
    )


def loose_ends(evidence):
    """Claim 5: searches that phase one sufficed for, and how many of them have a loose end."""
    counts = {}
    for name, runs in runs_by_name(evidence).items():
        only = loose = bracketed = 0
        for run in runs:
            steps = run.table("steps")
            marks = segments.flags(steps, run.table("evaluations")).columns
            ok = steps.columns["status"] == OK
            only += int((ok & ~marks["phase_two"]).sum())
            loose += int((ok & ~marks["phase_two"] & marks["loose_end"]).sum())
            bracketed += int((ok & marks["phase_two"] & marks["loose_end"]).sum())
        counts[name] = {"phase_one_only": only, "violations": loose, "phase_two_with_loose_end": bracketed}
    total = sum(c["phase_one_only"] for c in counts.values())
    violations = sum(c["violations"] for c in counts.values())
    text = "; ".join(f"{name}: {c['violations']} of {c['phase_one_only']}" for name, c in counts.items())
    return Claim(
        5,
        "Searches of phase one only have no loose end",
        "none",
        f"violations: {text}. They arise where phase one walks back, which its interval [0.1 η, 3 η] allows",
        REPRODUCED if not violations else PARTLY if violations < total / 2 else REFUTED,
        setting(evidence),
        counts,
    )


def minima(evidence):
    """Claim 6: where the minimum of each segment lies."""
    counts, shares = {}, []
    for name, runs in runs_by_name(evidence).items():
        away = np.concatenate([_from_minimum(run) for run in runs])
        share = float((np.abs(away) <= MINIMUM_WITHIN).mean())
        shares.append(share)
        low, middle, high = np.quantile(away, [0.05, 0.5, 0.95])
        counts[name] = {"segments": len(away), "within": share, "median": middle, "5%": low, "95%": high}
    text = "; ".join(
        f"{name}: {c['within']:.0%} of {c['segments']} within ±{MINIMUM_WITHIN:g}, 90 % within "
        f"{c['5%']:+.2g} ... {c['95%']:+.2g}"
        for name, c in counts.items()
    )
    return Claim(
        6,
        "A segment's minimum lies at k + 1",
        "at k + 1",
        f"distance of the minimum from k + 1 in step widths (segments marked as noise left out): {text}",
        REPRODUCED if min(shares) >= 0.95 else PARTLY if max(shares) >= 0.5 else REFUTED,
        f"{setting(evidence)}, probe segments",
        counts,
    )


def _segments(run):
    return run_probe(run.path, "segments", {"start": 0, "stop": run.rows("scalars")})


def _from_minimum(run):
    """xi of the minimum minus k + 1 of every segment that is not marked as noise, [n]."""
    samples = _segments(run)
    table = segments.assemble(samples, run.table("steps"), run.table("evaluations")).columns
    found = []
    for row, iteration in enumerate(table["iteration"]):
        lowest = search.ray_minimum(table["xi"][row], table["value"][row])
        if lowest is not None and not table["noisy"][row]:
            found.append(lowest[0] - iteration - 1)
    return np.array(found)


def _in_galaxies(evidence, claim):
    count = {BATCH: evidence.batch, MINIBATCH: evidence.minibatch}
    seen = {
        name: sum(p.claim == claim and p.exact for run in runs.values() for p in patterns.of_run(run))
        for name, runs in count.items()
    }
    return ", ".join(f"{number} in {name}" for name, number in seen.items())


def _where(found):
    return "at k = " + ", ".join(str(p.iteration) for p in found) if found else "not there"


def _scan_text(seen):
    if seen is None:
        return "nowhere"
    low, high, count, where = seen
    return f"at {count} σ between {low:.2g} and {high:.2g} (k = {', '.join(map(str, sorted(where)))})"


def _plain(seen):
    if seen is None:
        return None
    return {"from": seen[0], "to": seen[1], "sigmas": seen[2], "iterations": sorted(seen[3])}
