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
import time
import warnings
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax

from benchmarks.catalogue import Arrived, Counter
from benchmarks.cutest_summary import summarise
from gdlab import optim
from gdlab.linesearch import two_phase
from gdlab.optim.limited_memory import SEARCH

LIMIT = 10_000  # evaluations
STEPS = 100_000
ENDLESS = {"tol": 0.0, "max_iterations": STEPS, "max_evaluations": 1 << 30, "history": False}


class Seen(Counter):
    """Counts evaluations and keeps the lowest error after each that lowered it; stops after `seconds`."""

    def __init__(self, case, limit, seconds):
        super().__init__(case, limit)
        self.best, self.history, self.end = np.inf, [], ""
        self.until = time.monotonic() + seconds

    def __call__(self, value):
        self.count += 1
        value = np.asarray(value)
        if value < self.best:
            self.best = float(value)
            self.history.append((self.count, self.best))
        if self.count >= self.limit or time.monotonic() > self.until:
            self.end = "evaluations" if self.count >= self.limit else "seconds"
            raise Arrived
        return value


class Case:
    """One problem: `loss` [n] -> (), its jitted (f, slope), start [n]."""

    def __init__(self, problem):
        self.name, self.start = problem.name, jax.numpy.asarray(problem.y0, float)
        self.loss = lambda y: problem.objective(y, problem.args)
        self.value_and_grad = jax.jit(jax.value_and_grad(self.loss))


def ours(optimizer):
    """A transformation with gdlab's line search."""
    return lambda counter: jax.block_until_ready(
        jax.jit(lambda x: optim.minimize(counter.for_jax(), x, method=optimizer, **ENDLESS))(
            counter.case.start
        )
    )


def with_scipy(method):
    """SciPy's minimiser on the jitted value and slope."""

    def minimise(counter):
        from scipy.optimize import minimize

        options = {"gtol": 0.0, "maxiter": STEPS}
        options |= {"ftol": 0.0, "maxfun": STEPS} if method == "L-BFGS-B" else {}
        minimize(counter.for_scipy, np.asarray(counter.case.start), jac=True, method=method, options=options)

    return minimise


def with_optax(counter):
    """optax.lbfgs with its defaults."""
    loss, solver = counter.for_jax(), optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(carry):
        x, state, at = carry
        value, grad = value_and_grad(x, state=state)
        updates, state = solver.update(grad, state, x, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(x, updates), state, at + 1

    start = counter.case.start
    run = jax.jit(lambda x: jax.lax.while_loop(lambda c: c[2] < STEPS, step, (x, solver.init(x), 0)))
    jax.block_until_ready(run(start))


def with_jaxopt(counter):
    """jaxopt.NonlinearCG with its defaults (Polak-Ribiere, zoom line search)."""
    import jaxopt

    jax.block_until_ready(
        jaxopt.NonlinearCG(counter.for_jax(), maxiter=STEPS, tol=0.0).run(counter.case.start)
    )


def with_optimistix(counter):
    """optimistix.NonlinearCG with its defaults (Polak-Ribiere, backtracking)."""
    import optimistix

    loss, solver = counter.for_jax(), optimistix.NonlinearCG(rtol=1e-300, atol=1e-300)
    optimistix.minimise(lambda x, _: loss(x), solver, counter.case.start, max_steps=STEPS, throw=False)


def _lbfgs(**options):
    return ours(optim.lbfgs(line_search=partial(SEARCH, keep_trace=False, **options)))


METHODS = {
    "SciPy CG": with_scipy("CG"),
    "SciPy L-BFGS-B": with_scipy("L-BFGS-B"),
    "optax L-BFGS": with_optax,
    "jaxopt CG": with_jaxopt,
    "optimistix CG": with_optimistix,
    "paper": ours(optim.conjugate_gradient(line_search=partial(two_phase, keep_trace=False))),
    "fast": ours(optim.fast_conjugate_gradient(keep_trace=False)),
    "fast, exact": ours(optim.fast_conjugate_gradient(keep_trace=False, epsilon=0.0)),
    "lbfgs": _lbfgs(),
    "lbfgs, exact": _lbfgs(epsilon=0.0),
}


def measure(case, name, seconds):
    """{problem, n, method, history, evaluations, end, seconds} of one method on one problem."""
    counter = Seen(case, LIMIT, seconds)
    logger = logging.getLogger("jax._src.callback")
    logger.disabled = True  # it would print a traceback for every end
    begun = time.monotonic()
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
        "problem": case.name, "n": int(case.start.size), "method": name, "history": counter.history,
        "evaluations": counter.count, "end": counter.end or "stopped by itself",
        "seconds": round(time.monotonic() - begun, 2),
    }  # fmt: skip


def chosen(arguments):
    """The problems that are asked for: each name once, in the order of sif2jax."""
    from sif2jax import unconstrained_minimisation_problems as every

    found = {}
    for problem in every:
        if int(np.size(problem.y0)) <= arguments.largest:
            found.setdefault(problem.name, problem)
    names = list(found)
    order = np.random.default_rng(0).permutation(len(names))
    half = {names[at] for at in order[: len(names) // 2]}
    keep = {"chosen": half, "other": set(names) - half, "all": set(names)}[arguments.half]
    if arguments.problems:
        keep &= set(arguments.problems)
    return [problem for name, problem in found.items() if name in keep], half


def main():
    """Measure what is missing in the file, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("cutest.jsonl"), help="file of the results")
    parser.add_argument("--problems", nargs="*", help="names; default: all")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--half", choices=("chosen", "other", "all"), default="all")
    parser.add_argument("--largest", type=int, default=5000, help="number of variables")
    parser.add_argument("--seconds", type=float, default=60.0, help="of one method on one problem, at most")
    parser.add_argument("--summary", action="store_true", help="measure nothing")
    parser.add_argument("--picture", type=Path, help="performance profiles as SVG")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    warnings.filterwarnings("ignore")
    known = arguments.results.read_text().splitlines() if arguments.results.exists() else []
    rows = [json.loads(line) for line in known]
    problems, half = chosen(arguments)
    if not arguments.summary:
        rows += list(_measured(arguments, problems, {(row["problem"], row["method"]) for row in rows}))
    names = {problem.name for problem in problems}
    rows = [row for row in rows if row["problem"] in names and row["method"] in arguments.methods]
    summarise(rows, half, arguments.picture)


def _measured(arguments, problems, done):
    with arguments.results.open("a") as file:
        for number, problem in enumerate(problems):
            for name in arguments.methods:
                if (problem.name, name) in done:
                    continue
                row = measure(Case(problem), name, arguments.seconds)
                file.write(json.dumps(row) + "\n")
                file.flush()
                print(f"{number + 1}/{len(problems)} {problem.name} ({row['n']}) {name}: "
                      f"{row['evaluations']}, {row['end']}, {row['seconds']} s", flush=True)  # fmt: skip
                yield row
            jax.clear_caches()


if __name__ == "__main__":
    main()
