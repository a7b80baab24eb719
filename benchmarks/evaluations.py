"""How many evaluations a minimum costs, beside SciPy, jaxopt and optimistix.

    python -m benchmarks.evaluations [--problems rosenbrock wood]     some minutes
    python -m benchmarks.evaluations --explore                        which setting is best

Evaluations until f - f* <= 1e-8 max(1, f(start)) over the catalogue of test functions, float64, f* the
known global minimum. All count alike (see `benchmarks.catalogue`): calls up to and including the first
that meets the target, value alone or value and slope. SciPy is told never to be content (gtol = 0); the
others too. Problems that end in another minimum count as not solved.
"""

import argparse
import itertools
import warnings
from functools import partial

import jax
import numpy as np

from benchmarks.catalogue import cases, count
from benchmarks.peers import ours, with_jaxopt, with_optimistix, with_scipy
from gdlab import optim
from gdlab.linesearch import two_phase

PEERS = {
    "SciPy CG": with_scipy("CG"),
    "paper": ours(optim.conjugate_gradient(line_search=partial(two_phase, keep_trace=False))),
    "previous": ours(
        optim.conjugate_gradient(line_search=partial(two_phase, initial="previous", keep_trace=False))
    ),
    "fast": ours(optim.fast_conjugate_gradient(keep_trace=False)),
    # The searches of before version 2, whose phase one may walk back where the slope falls.
    "paper, version 1": ours(
        optim.conjugate_gradient(line_search=partial(two_phase, version=1, keep_trace=False))
    ),
    "fast, version 1": ours(optim.fast_conjugate_gradient(version=1, keep_trace=False)),
    "jaxopt": with_jaxopt,
    "optimistix": with_optimistix("NonlinearCG"),
    "L-BFGS-B": with_scipy("L-BFGS-B"),
}


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", help="names from the catalogue; default: all")
    parser.add_argument("--peers", nargs="*", choices=PEERS, help="columns beside SciPy CG; default: all")
    parser.add_argument("--limit", type=int, default=6000, help="evaluations after which a peer has failed")
    parser.add_argument("--explore", action="store_true", help="try settings, with a leave-half-out check")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    warnings.filterwarnings("ignore", module="jaxopt|scipy|optimistix|equinox")
    if arguments.explore:
        explore(arguments)
    else:
        compare(arguments)


def compare(arguments):
    """Table of evaluations per problem, and a summary."""
    names = ["SciPy CG", *(arguments.peers or [name for name in PEERS if name != "SciPy CG"])]
    print("| problem | n | " + " | ".join(names) + " |")
    print("|---|---:|" + "---:|" * len(names))
    table = {name: [] for name in names}
    for case in cases(arguments.problems):
        for name in names:
            table[name].append(count(PEERS[name], case, arguments.limit))
        shown = " | ".join("-" if table[name][-1] is None else str(table[name][-1]) for name in names)
        print(f"| {case.name} | {case.start.size} | {shown} |", flush=True)
    print("\n| | solved | of SciPy CG's | median ratio | quartiles | geometric mean |")
    print("|---|---:|---:|---:|---:|---:|")
    counts = {name: np.array(column, float) for name, column in table.items()}
    for name in names:
        print(f"| {name} | {summary(counts[name], counts['SciPy CG'])} |")


def summary(counts, reference):
    """Solved, how many of those the reference solves, and the ratio of evaluations; NaN: not solved."""
    known = np.isfinite(reference)
    both = np.isfinite(counts) & known
    ratio = np.where(np.isfinite(counts), counts / reference, np.inf)[known]
    low, high = np.quantile(ratio, (0.25, 0.75), method="nearest")
    mean = np.exp(np.mean(np.log(counts[both] / reference[both])))
    solved = f"{np.isfinite(counts).sum()} | {both.sum()} of {known.sum()}"
    return f"{solved} | {np.median(ratio):.2f} | {low:.2f}-{high:.2f} | {mean:.2f}"


FORMULAS = ("polak_ribiere", "polak_ribiere_plus", "hestenes_stiefel", "hager_zhang")
INITIALS = ("inverse_norm", "previous", "previous_length")
SIGMAS, BETAS = (0.05, 0.1, 0.2, 0.3), (3.0, 10.0)


def explore(arguments):
    """Every setting's median, and how well a choice made on half of the problems does on the others."""
    settings = list(itertools.product(INITIALS, FORMULAS, SIGMAS, BETAS))
    reference, rows = [], []
    for case in cases(arguments.problems):
        reference.append(count(PEERS["SciPy CG"], case, arguments.limit) or np.nan)
        rows.append([n for initial in INITIALS for n in settings_of(case, initial, arguments.limit)])
        solved = np.isfinite(rows[-1])
        print(
            f"{case.name}: SciPy CG {reference[-1]:g}, {solved.sum()} of {solved.size} settings", flush=True
        )
    counts, reference = np.array(rows), np.array(reference)
    known = np.isfinite(reference)
    ratios = np.where(np.isfinite(counts), counts / reference[:, None], np.inf)[known]
    print("\n| initial | beta formula | sigma | beta | solved | of SciPy CG's | median | quartiles | mean |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for at in np.lexsort((np.median(ratios, 0), np.isinf(ratios).sum(0))):
        print("| " + " | ".join(map(str, settings[at])) + f" | {summary(counts[:, at], reference)} |")
    if len(ratios) >= 2:
        print(leave_half_out(ratios))


def settings_of(case, initial, limit):
    """Evaluations of every formula, sigma and beta for one rule of the first step; one compilation."""

    @jax.jit
    def run(formula, sigma, beta):
        def choose(*vectors):
            return jax.lax.switch(formula, [getattr(optim, name) for name in FORMULAS], *vectors)

        search = partial(two_phase, initial=initial, sigma=sigma, beta=beta, rho=1e-4, keep_trace=False)
        optimizer = optim.conjugate_gradient(choose, search)
        limits = {"max_iterations": limit, "max_evaluations": limit, "target": case.target, "tol": 0.0}
        return optim.minimize(case.loss, case.start, method=optimizer, history=False, **limits)

    for formula, sigma, beta in itertools.product(range(len(FORMULAS)), SIGMAS, BETAS):
        found = run(formula, sigma, beta)
        solved = found.fun <= case.target and found.nfev <= limit
        yield float(found.nfev) if solved else np.nan


def leave_half_out(ratios, times=1000):
    """Choose the setting on a random half of the problems, measure it on the other half."""
    rng = np.random.default_rng(0)
    held_out, unsolved, n = [], 0, len(ratios)
    for _ in range(times):
        order = rng.permutation(n)
        chosen, other = ratios[order[: n // 2]], ratios[order[n // 2 :]]
        # Most problems solved, then the lowest median: the rule by which the setting was chosen.
        best = np.lexsort((np.median(chosen, 0), np.isinf(chosen).sum(0)))[0]
        held_out.append(np.median(other[:, best]))
        unsolved += np.isinf(other[:, best]).sum() / times
    low, middle, high = np.quantile(held_out, (0.05, 0.5, 0.95))
    return (
        f"\nChosen on one half of the problems, measured on the other ({times} splits): median ratio "
        f"{middle:.2f} (90 % within {low:.2f}-{high:.2f}), {unsolved:.2f} problems not solved on average."
    )


if __name__ == "__main__":
    main()
