"""How long a whole descent takes, beside SciPy driving the same jitted function.

    python -m benchmarks.descent_time [--repeats 15] [--problems rosenbrock wood]     three minutes

Catalogue: `gdlab.optim.minimize` (jitted, recording off, its default optimizer) and SciPy's CG run to the
same target (see `benchmarks.catalogue`), over the functions that both solve; the time is of everything,
evaluations included. Networks: full-batch descents of a fixed length, time per evaluation, with the bare
jitted (value, slope) call beside them. Medians of interleaved repetitions, so that a busy machine is busy
for both, as wall-clock time and as the processor time of all threads, which other programs disturb less;
compilation apart.
"""

import argparse
import contextlib
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.catalogue import Arrived, Counter, cases
from gdlab import data, models, optim, problems

LIMIT = 6000


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", help="names from the catalogue; default: all")
    parser.add_argument("--repeats", type=int, default=15, help="repetitions of every measurement")
    parser.add_argument("--iterations", type=int, default=15, help="of the networks' descents")
    parser.add_argument("--inline", action="store_true", help="jax_cpu_enable_async_dispatch off")
    arguments = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", not arguments.inline)
    # NumPy's vector operations inside SciPy, at the size of the networks, gain nothing from threads that
    # then compete with JAX's: one thread is SciPy's better case.
    with threadpool_limits(1, user_api="blas"):
        catalogue(arguments)
        networks(arguments)


def catalogue(arguments):
    """Table of whole descents over the test functions."""
    print_head("problem", "n", "gdlab us", "SciPy us", "ratio", "CPU ratio", "evaluations", "compile s")
    ratios = []
    for case in cases(arguments.problems):
        limits = {"target": case.target, "tol": 0.0, "max_evaluations": LIMIT, "max_iterations": LIMIT}
        descend = partial(optim.minimize, case.loss, case.start, history=False, **limits)
        found, compiling, _ = timed(descend)
        evaluations = with_scipy(case)
        if found.fun > case.target or evaluations is None:
            continue
        mine, scipy = interleaved((descend, partial(with_scipy, case)), arguments.repeats)
        ratios.append(scipy / mine)
        numbers = [f"{seconds * 1e6:.0f}" for seconds in (mine[0], scipy[0])]
        numbers += [f"{ratio:.1f}" for ratio in ratios[-1]]
        print_row(case.name, case.start.size, *numbers, f"{found.nfev} : {evaluations}", f"{compiling:.2f}")
    for name, ratio in zip(("wall-clock", "processor"), np.transpose(ratios), strict=True):
        print(
            f"\nSciPy's {name} time over gdlab's: median {np.median(ratio):.0f}, from {ratio.min():.1f} to "
            f"{ratio.max():.0f}; at least 10 on {(ratio >= 10).sum()} of {len(ratio)} problems"
        )


def with_scipy(case):
    """Evaluations SciPy's CG needs to the target, None where it does not get there."""
    from scipy.optimize import minimize

    counter = Counter(case, LIMIT)
    options = {"gtol": 0.0, "maxiter": LIMIT}
    with contextlib.suppress(Arrived):
        minimize(counter.for_scipy, np.asarray(case.start), jac=True, method="CG", options=options)
    return counter.count if counter.solved else None


def networks(arguments):
    """Table of the time per evaluation where the evaluations themselves cost."""
    print()
    print_head("network", "parameters", "gdlab ms", "SciPy ms", "bare ms", "ratio", "CPU ratio", "compile s")
    digits, galaxy = data.digits(), data.galaxy()
    wide = problems.classification(model=models.mlp(features=(512, 10)), data=digits)
    small = problems.classification(model=models.mlp(features=(32, 10)), data=digits)
    discriminant = problems.discriminant(model=models.galaxy(), data=galaxy)
    for name, problem, source, dtype in (
        ("digits, MLP 64-32-10, float32", small, digits, jnp.float32),
        ("digits, MLP 64-512-10, float32", wide, digits, jnp.float32),
        ("galaxy, DNN 2-40-20-1, float64", discriminant, galaxy, jnp.float64),
    ):
        print_row(name, *network(problem, source, dtype, arguments))


def network(problem, source, dtype, arguments):
    """Cells of a row: the same number of iterations by both, divided by the evaluations each needed."""
    batch = jax.tree.map(jnp.asarray, {key: source.train[key] for key in ("x", "y")})
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), problem.init(jax.random.key(0)))
    flat, unravel = jax.flatten_util.ravel_pytree(params)

    @jax.jit
    def value_and_grad(x, batch):
        return jax.value_and_grad(lambda x: problem.loss(unravel(x), batch))(x.astype(dtype))

    @jax.jit
    def descend(params, batch):
        limits = {"tol": 0.0, "max_iterations": arguments.iterations, "max_evaluations": 1 << 30}
        return optim.minimize(lambda p: problem.loss(p, batch), params, history=False, **limits)

    def scipy():
        from scipy.optimize import minimize

        def evaluate(x):
            value, grad = value_and_grad(x, batch)
            return float(value), np.asarray(grad, np.float64)

        options = {"maxiter": arguments.iterations, "gtol": 0.0}
        return minimize(evaluate, np.asarray(flat, np.float64), jac=True, method="CG", options=options).nfev

    found, compiling, _ = timed(lambda: descend(params, batch))
    counts = np.array([int(found.nfev), scipy(), 1])
    calls = (lambda: descend(params, batch), scipy, lambda: value_and_grad(flat, batch))
    mine, theirs, bare = interleaved(calls, arguments.repeats) * 1e3 / counts[:, None]
    milliseconds = [f"{time[0]:.3f}" for time in (mine, theirs, bare)]
    return flat.size, *milliseconds, *(f"{ratio:.2f}" for ratio in theirs / mine), f"{compiling:.1f}"


def print_head(*cells):
    """The head of a Markdown table."""
    print_row(*cells)
    print("|---|" + "---:|" * (len(cells) - 1))


def print_row(*cells):
    """A row of it."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def timed(call):
    """(result, seconds on the wall, seconds of processor time) of a call; the first one compiles."""
    wall, processor = time.perf_counter(), time.process_time()
    result = jax.block_until_ready(call())
    return result, time.perf_counter() - wall, time.process_time() - processor


def interleaved(calls, repeats):
    """Median seconds (wall, processor) of each call, measured in turns; [calls, 2]."""
    return np.median([[timed(call)[1:] for call in calls] for _ in range(repeats)], axis=0)


if __name__ == "__main__":
    main()
