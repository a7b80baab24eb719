"""Conjugate gradients and L-BFGS on the CUTEst problems in JAX, beside SciPy, optax, optimistix and jaxopt.

    python -m benchmarks.cutest [--results cutest.jsonl] [--problems ROSENBR ...] [--methods lbfgs ...]
    python -m benchmarks.cutest --results cutest.jsonl --summary [--picture profiles.svg]

All unconstrained problems of sif2jax with at most `--largest` variables (5,000), float64, from the published
starts, at most 10,000 evaluations; an evaluation is one call of the error function, with or without its
slope, counted where the numbers are computed. Every method writes when it first saw which error; what counts
as solved is asked afterwards, f* being the lowest error that any method saw. The file goes on where it
stopped.

A random half of the problems (`--half chosen`, seed 0) is for choosing settings, the other for telling how
good they are. Needs the packages of the extra `bench`.
"""

import argparse
import json
import logging
import os
import time
import warnings
from functools import partial
from pathlib import Path

import jax
import numpy as np

from benchmarks.catalogue import Arrived, Counter
from benchmarks.cutest_summary import RULES, summarise
from benchmarks.peers import ours, with_jaxopt, with_optax, with_optimistix, with_scipy
from gdlab import optim
from gdlab.linesearch import two_phase
from gdlab.optim.limited_memory import CONJUGATE_SEARCH, SEARCH

LIMIT = 10_000  # evaluations
# Without a thousandth of what the strictest rule allows in so many evaluations, a method has ended.
PATIENCE = 1000
# What is measured is evaluations, and half of the time is compiling.
QUICK_COMPILER = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


class Seen(Counter):
    """Counts evaluations and keeps the lowest error after each that lowered it.

    Ends at the limit, after `seconds`, and where nothing that a rule could see has happened for PATIENCE
    evaluations.
    """

    def __init__(self, case, limit, seconds):
        super().__init__(case, limit)
        self.first, self.best, self.history, self.end = None, np.inf, [], ""
        self.noted, self.moved = np.inf, 0
        self.until = time.process_time() + seconds

    def __call__(self, value):
        self.count += 1
        value = np.asarray(value)
        if self.first is None:
            self.first = float(value)
        if value < self.best:
            self.best = float(value)
            least = 1e-3 * min(rule(self.first, self.best) for rule in RULES.values())
            if not self.history or self.noted - self.best > least:
                self.noted, self.moved = self.best, self.count
                self.history.append((self.count, self.best))
        self.end = self._ended()
        if self.end:
            raise Arrived
        return value

    def _ended(self):
        if self.count >= self.limit:
            return "evaluations"
        if self.count - self.moved > PATIENCE:
            return "nothing lower"
        return "seconds" if time.process_time() > self.until else ""


class Case:
    """One problem: `loss` [n] -> (), its jitted (f, slope), start [n]."""

    def __init__(self, problem):
        self.name, self.start = problem.name, jax.numpy.asarray(problem.y0, float)
        self.loss = lambda y: problem.objective(y, problem.args)
        self.value_and_grad = jax.jit(jax.value_and_grad(self.loss))


def _lbfgs(**options):
    return ours(optim.lbfgs(line_search=partial(SEARCH, keep_trace=False, **options)))


METHODS = {
    "SciPy CG": with_scipy("CG"),
    "SciPy L-BFGS-B": with_scipy("L-BFGS-B"),
    "optax L-BFGS": with_optax,
    "jaxopt CG": with_jaxopt,
    "optimistix CG": with_optimistix("NonlinearCG"),
    "optimistix BFGS": with_optimistix("BFGS"),
    "paper": ours(optim.conjugate_gradient(line_search=partial(two_phase, keep_trace=False))),
    "fast": ours(optim.fast_conjugate_gradient(keep_trace=False)),
    "fast, exact": ours(optim.fast_conjugate_gradient(keep_trace=False, epsilon=0.0)),
    "limited-memory CG": ours(
        optim.limited_memory_conjugate_gradient(line_search=partial(CONJUGATE_SEARCH, keep_trace=False))
    ),
    "lbfgs": _lbfgs(),
    "lbfgs, exact": _lbfgs(epsilon=0.0),
}


def measure(case, name, seconds):
    """{problem, n, method, history, evaluations, end, seconds} of one method on one problem."""
    counter = Seen(case, LIMIT, seconds)
    logger = logging.getLogger("jax._src.callback")
    logger.disabled = True  # it would print a traceback for every end
    begun = time.process_time()
    try:
        METHODS[name](counter)
    except Arrived:
        pass
    except jax.errors.JaxRuntimeError as error:
        if Arrived.__name__ not in str(error) and "callback" not in str(error):
            counter.end = f"error: {str(error).splitlines()[0]:.200}"
    except Exception as error:  # whatever a peer does with a problem that it cannot handle
        counter.end = (
            f"error: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else '':.200}"
        )
    finally:
        logger.disabled = False
    return {
        "problem": case.name, "n": int(case.start.size), "method": name,
        "history": [*counter.history, *([(counter.count, counter.best)] if counter.history else [])],
        "evaluations": counter.count, "end": counter.end or "stopped by itself",
        "seconds": round(time.process_time() - begun, 2),
    }  # fmt: skip


def chosen(arguments):
    """(the problems that are asked for, the names of the half for choosing); each name once, the halves in
    turn and in random order, so that a file begun is a sample of both."""
    from sif2jax import unconstrained_minimisation_problems as every

    found = {}
    for problem in every:
        if int(np.size(problem.y0)) <= arguments.largest:
            found.setdefault(problem.name, problem)
    names = list(found)
    order = np.random.default_rng(0).permutation(len(names))
    middle = len(names) // 2
    half = {names[at] for at in order[:middle]}
    keep = {"chosen": half, "other": set(names) - half, "all": set(names)}[arguments.half]
    if arguments.problems:
        keep &= set(arguments.problems)
    turns = sorted(range(len(names)), key=lambda place: (place % middle, place))
    return [found[names[order[at]]] for at in turns if names[order[at]] in keep], half


def main():
    """Measure what is missing in the file, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("cutest.jsonl"), help="file of the results")
    parser.add_argument("--problems", nargs="*", help="names; default: all")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--half", choices=("chosen", "other", "all"), default="all")
    parser.add_argument("--largest", type=int, default=5000, help="number of variables")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of the processor, for one method on one problem"
    )
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    parser.add_argument("--picture", type=Path, help="performance profiles as SVG")
    arguments = parser.parse_args()
    os.environ.setdefault("XLA_FLAGS", QUICK_COMPILER)
    jax.config.update("jax_enable_x64", True)
    warnings.filterwarnings("ignore")
    known = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    rows = [json.loads(line) for line in known]
    problems, half = chosen(arguments)
    if not arguments.summary:
        rows += list(_measured(arguments, problems, {(row["problem"], row["method"]) for row in rows}))
    names = {problem.name for problem in problems}
    rows = [row for row in rows if row["problem"] in names]
    summarise(rows, half, arguments.methods, arguments.picture)


def _measured(arguments, problems, done):
    with arguments.results.open("a") as file:
        for number, problem in enumerate(problems):
            names = [name for name in arguments.methods if (problem.name, name) not in done]
            case = Case(problem) if names else None
            for name in names:
                row = measure(case, name, arguments.seconds)
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(f"{number + 1}/{len(problems)} {problem.name} ({row['n']}) {name}: "
                      f"{row['evaluations']}, {row['end']}, {row['seconds']} s", flush=True)  # fmt: skip
                yield row
            jax.clear_caches()


if __name__ == "__main__":
    main()
