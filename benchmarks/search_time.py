"""What an evaluation costs inside a line search, and a whole descent beside optax's L-BFGS.

    python -m benchmarks.search_time [--rounds 7] [--cases "n = 5,000"]     some minutes

Per evaluation: a descent of so many iterations over the calls that it made, beside the bare jitted (value,
gradient) and beside that with the vector work which the method cannot do without (`needed`): a point and a
slope for each evaluation, a direction for each iteration, each vector read and written once, measured on the
same machine. Whole descents: to within a thousandth of the lowest error that optax's L-BFGS has after so many
iterations; it makes as many as it needs for that. Processor time of all threads, the least of the rounds, in
turns: other programs disturb it less than the clock on the wall.
"""

import argparse
import itertools
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.timing import least_seconds
from gdlab import optim
from gdlab.linesearch import two_phase
from gdlab.optim.limited_memory import CONJUGATE_SEARCH, SEARCH

WIDTHS = (784, 1024, 200, 10)  # 1.01 million parameters
PAIRS = 10


def without_trace(make, search):
    """The optimizer as `gdlab.minimize` runs it: nobody looks at its searches."""
    return make(line_search=partial(search, keep_trace=False))


METHODS = {
    "paper": (without_trace(optim.conjugate_gradient, two_phase), 0),
    "fast": (optim.fast_conjugate_gradient(keep_trace=False), 0),
    "limited-memory CG": (
        without_trace(optim.limited_memory_conjugate_gradient, CONJUGATE_SEARCH),
        PAIRS,
    ),
    "lbfgs": (without_trace(optim.lbfgs, SEARCH), PAIRS),
}


def chained(x):
    """Rosenbrock's function, chained; [n] -> ()."""
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def network(batch):
    """(error, start) of an MLP with weight decay on made-up images of ten classes that overlap."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, batch)
    centres = rng.normal(size=(10, WIDTHS[0]))
    images = jnp.asarray(centres[labels] + 4 * rng.normal(size=(batch, WIDTHS[0])), jnp.float32)
    shapes = list(itertools.pairwise(WIDTHS))
    start = [jnp.asarray(rng.normal(size=s) / np.sqrt(s[0]), jnp.float32) for s in shapes]

    def error(weights):
        x = images
        for layer in weights[:-1]:
            x = jnp.tanh(x @ layer)
        fit = optax.softmax_cross_entropy_with_integer_labels(x @ weights[-1], labels).mean()
        return fit + 1e-4 * optax.tree.norm(weights, squared=True)

    return error, start


CASES = {
    "n = 5,000": lambda: (chained, jnp.tile(jnp.asarray([-1.2, 1.0]), 2500)),
    "1 M parameters, batch 64": lambda: network(64),
    "1 M parameters, batch 512": lambda: network(512),
}


def descend(error, start, method, **limits):
    """A call that makes a descent and returns the Minimum."""
    limits = {"tol": 0.0, "max_evaluations": 1 << 30, "history": False} | limits
    return lambda: jax.block_until_ready(optim.minimize(error, start, method=method, **limits))


def with_optax(error, start, iterations):
    """A call that makes a descent by optax.lbfgs; returns (parameters, errors before each iteration)."""
    solver, value_and_grad = optax.lbfgs(PAIRS), optax.value_and_grad_from_state(error)

    def step(carry, _):
        x, state = carry
        value, grad = value_and_grad(x, state=state)
        updates, state = solver.update(grad, state, x, value=value, grad=grad, value_fn=error)
        return (optax.apply_updates(x, updates), state), value

    def run(x):
        (x, _), values = jax.lax.scan(step, (x, solver.init(x)), length=iterations)
        return x, values

    run = jax.jit(run)
    return lambda: jax.block_until_ready(run(start))


def needed(start, evaluations, iterations, pairs):
    """A call that does the vector work of so many evaluations and iterations, each vector once."""
    flat, _ = jax.flatten_util.ravel_pytree(start)
    stacked = jnp.stack([flat] * max(pairs, 1))

    @jax.jit
    def work(x, direction, grad, stacked):
        def evaluated(carry, _):
            x, total = carry
            return (x + 1e-9 * direction, total + jnp.vdot(grad, x)), None

        def iterated(carry, _):
            direction, total = carry
            total += jnp.vdot(grad, direction) + jnp.vdot(direction, direction)
            if pairs:  # both loops read s and y of every pair once
                ahead = stacked @ direction, stacked @ grad
                direction = direction + 1e-9 * (ahead[0] @ stacked + ahead[1] @ stacked)
            return (1e-9 * total * direction - grad, total), None

        zero = jnp.zeros((), x.dtype)
        ends = jax.lax.scan(evaluated, (x, zero), length=evaluations)[0]
        return ends, jax.lax.scan(iterated, (direction, zero), length=iterations)[0]

    return lambda: jax.block_until_ready(work(flat, flat, flat, stacked))


def least(calls, rounds):
    """Least processor seconds of each call, after a first one."""
    for call in calls:
        call()
    return np.array(least_seconds(calls, rounds, time.process_time))


def per_evaluation(name, error, start, arguments):
    """Rows of the first table."""
    bare = jax.jit(jax.value_and_grad(error))
    for method, (optimizer, pairs) in METHODS.items():
        whole = descend(error, start, optimizer, max_iterations=arguments.iterations)
        found = whole()
        nfev, nit = int(found.nfev), int(found.nit)
        work = needed(start, nfev, nit, pairs)

        def evaluate(nfev=nfev):
            for _ in range(nfev):
                jax.block_until_ready(bare(start))

        mine, alone, vectors = least((whole, evaluate, work), arguments.rounds) * 1e3 / nfev
        print(f"| {name} | {method} | {nfev} | {mine:.3f} | {alone:.3f} | {vectors:.3f} "
              f"| {mine / (alone + vectors):.2f} |", flush=True)  # fmt: skip


def whole_descents(name, error, start, arguments):
    """Rows of the second table."""
    x, values = with_optax(error, start, arguments.iterations)()
    values = [*np.asarray(values).tolist(), float(error(x))]
    target = min(values) + 1e-3 * abs(min(values))
    fewest = next(at for at, value in enumerate(values) if value <= target)
    other = with_optax(error, start, fewest)
    for method, (optimizer, _) in METHODS.items():
        whole = descend(error, start, optimizer, target=target, max_iterations=100 * arguments.iterations)
        found = whole()
        if not found.success:
            print(f"| {name} | {method} | {float(found.fun):.2e}, not {target:.2e} | | |", flush=True)
            continue
        mine, theirs = least((whole, other), arguments.rounds) * 1e3
        print(f"| {name} | {method} | {int(found.nfev)} | {mine:.1f} | {theirs / mine:.2f} |", flush=True)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="of every measurement")
    parser.add_argument("--iterations", type=int, default=20, help="of a descent")
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    arguments = parser.parse_args()
    made = {name: CASES[name]() for name in arguments.cases}
    print("| case | method | evaluations | ms each | bare ms | needed vectors ms | over both |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name, (error, start) in made.items():
        per_evaluation(name, error, start, arguments)
    print("\n| case | method | evaluations | ms | optax L-BFGS's time over it |\n|---|---|---:|---:|---:|")
    for name, (error, start) in made.items():
        whole_descents(name, error, start, arguments)


if __name__ == "__main__":
    main()
