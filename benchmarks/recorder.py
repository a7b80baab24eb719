"""What a recorder costs a loop of one's own, beside the bare loop and beside other loggers.

    python -m benchmarks.recorder [--steps 400] [--rounds 5] [--size mlp] [--donate] [--peers]

Per iteration of a plain Python loop (Adam, batch 64; "mlp": 270,000 parameters, "10m": 10 million in twelve
layers): the bare loop; with `observe`; with `observe` and `write`; every tenth iteration (`observe(when=)`,
two compiled steps that the host chooses from); with `watch`. "pass" is one reading of the arrays that
`observe` reads (parameters, gradients, updates, two moments): one sum over each, compiled alone. `write`
alone: with numbers that are there, with an Observation, and with twelve numbers of a step; with the
parameters, where they are to be kept and where not. --peers: the same twelve numbers to TensorBoard's
writer (tensorboardX), to wandb offline and to trackio, as far as these are installed. Variants take turns,
the fastest round of each counts, by the clock and by the processor's, which other work on the machine
disturbs less. --donate: the steps donate parameters and state; without it each allocates them anew, and
what that costs (page faults) depends on what else the step allocates. Nothing is asserted. Aims: `observe`
at most 1.5 passes; every tenth at most 5 %; `write` at most 30 us; at least 5 times less than another
logger.
"""

import argparse
import tempfile
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gdlab

SIZES = {"mlp": (784, 256, 256, 10), "10m": (784, *(952,) * 11, 10)}
TX = optax.adam(1e-3)
NUMBERS = {f"number_{index}": float(index) for index in range(12)}


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400, help="of a loop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", choices=SIZES, default="mlp")
    parser.add_argument("--donate", action="store_true", help="parameters and state to the next step")
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    loops(arguments)
    writes(arguments)
    kept(arguments)


def loops(arguments):
    """The loop in all variants."""
    start, batch = network(SIZES[arguments.size])
    count = sum(leaf.size for leaf in jax.tree.leaves(start))
    variants = {"bare": plain, "observe": observed, "watch": watched}
    donated = (0, 1) if arguments.donate else ()
    steps = {name: jax.jit(step, donate_argnums=donated) for name, step in variants.items()}
    some = jax.jit(observed, donate_argnums=donated, static_argnames="look")
    with tempfile.TemporaryDirectory() as folder:
        paths = iter(Path(folder) / str(number) for number in range(10**6))
        runs = {
            "bare": lambda: loop(steps["bare"], start, batch, arguments.steps),
            "observe": lambda: loop(steps["observe"], start, batch, arguments.steps),
            "observe + write": lambda: loop(steps["observe"], start, batch, arguments.steps, next(paths)),
            "every tenth": lambda: tenth(some, start, batch, arguments.steps, next(paths)),
            "watch + write": lambda: loop(steps["watch"], start, batch, arguments.steps, next(paths)),
        }
        least = {name: np.full(2, np.inf) for name in runs}
        for _ in range(arguments.rounds + 1):  # the first compiles
            for name, run in runs.items():
                least[name] = np.minimum(least[name], run())
    each = {name: 1e6 * seconds / arguments.steps for name, seconds in least.items()}
    passes = 1e6 * reading(start)
    for at, clock in enumerate(("the clock", "the processor's")):
        bare, one = each["bare"][at], passes[at]
        print(f"by {clock}: {count:,} parameters; a step of the bare loop {bare:.0f} us; a pass {one:.0f} us")
        for name in list(each)[1:]:
            more = each[name][at] - bare
            print(f"{name:>16}: {more:8.0f} us more, {more / bare:6.1%}, {more / one:5.2f} passes")


def writes(arguments):
    """`write` alone, and the same numbers given to others."""
    seen = jax.block_until_ready(gdlab.observe(params=network((8, 8, 8, 8))[0]))
    with tempfile.TemporaryDirectory() as folder:
        writers = {
            "write, a number": lambda recorder, step: recorder.write(step, loss=1.0),
            "write, an Observation": lambda recorder, step: recorder.write(step, seen),
            "write, 12 numbers": lambda recorder, step: recorder.write(step, NUMBERS),
        }
        for name, write in writers.items():
            with gdlab.Recorder(Path(folder) / name) as recorder:
                print(f"{name:>22}: {1e6 * each_call(partial(write, recorder), arguments.steps):8.1f} us")
        if arguments.peers:
            for name, make in PEERS.items():
                peer(name, make, Path(folder) / name, arguments.steps)


def kept(arguments):
    """`write` with the parameters: where nothing is due, where a point or a moment is, and until it is
    written."""
    params, batch = network(SIZES[arguments.size])
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    step = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1e-6, tree), donate_argnums=0)
    calls: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder, gdlab.Recorder(Path(folder) / "r", moments=8) as recorder:
        series = recorder._parameters.keeper.series
        for k in range(arguments.steps):
            params = jax.block_until_ready(step(params))
            before = [one.kept[-1:] for one in series.values()]
            began = time.perf_counter()
            recorder.write(k, params=params, batch=batch)
            seconds = time.perf_counter() - began
            calls[before != [one.kept[-1:] for one in series.values()]].append(seconds)
        began = time.perf_counter()
        recorder.close()
        rest = time.perf_counter() - began
    print(f"parameters of {size / 1e6:.1f} MB; of {arguments.steps} iterations {len(calls[True])} due")
    for name, due in (("nothing due", False), ("something due", True)):
        if calls[due]:
            print(f"{f'write, {name}':>22}: {1e6 * np.median(calls[due]):8.1f} us (median)")
    print(f"{'close':>22}: {1e3 * rest:8.1f} ms")


def peer(name, make, folder, steps):
    """Another logger, where it is installed."""
    try:
        log, close = make(folder)
    except ImportError as error:
        print(f"{name:>22}: not installed ({error})")
        return
    print(f"{name:>22}: {1e6 * each_call(log, steps):8.1f} us")
    close()


def each_call(call, steps):
    """Seconds of one call, the mean over `steps`."""
    call(0)
    began = time.perf_counter()
    for step in range(1, steps + 1):
        call(step)
    return (time.perf_counter() - began) / steps


def network(sizes):
    """((parameters, state), batch) of a dense network."""
    draw = np.random.default_rng(0).normal
    layers = {
        f"dense_{index:02}": {  # their order is that of their names, which trees have
            "kernel": jnp.asarray(draw(size=(a, b)) / np.sqrt(a), jnp.float32),
            "bias": jnp.zeros(b, jnp.float32),
        }
        for index, (a, b) in enumerate(pairwise(sizes))
    }
    batch = jnp.asarray(draw(size=(64, sizes[0])), jnp.float32), jnp.arange(64) % sizes[-1]
    return layers, batch


def loss_fn(params, batch):
    """The mean cross-entropy."""
    x, y = batch
    *hidden, last = params.values()
    for layer in hidden:
        x = jnp.tanh(x @ layer["kernel"] + layer["bias"])
    logits = x @ last["kernel"] + last["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


WATCHED = gdlab.watch(TX)


def plain(params, state, batch):
    """A step that nobody looks at."""
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, state = TX.update(grads, state, params)
    return optax.apply_updates(params, updates), state, loss


def observed(params, state, batch, look=True):
    """The same with an Observation."""
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, state = TX.update(grads, state, params)
    seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates, opt_state=state, when=look)
    return optax.apply_updates(params, updates), state, seen


def watched(params, state, batch):
    """The same with an optimizer that looks at itself."""
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, state = WATCHED.update(grads, state, params, value=loss)
    return optax.apply_updates(params, updates), state, state


def loop(step, params, batch, steps, folder=None):
    """Seconds of `steps` iterations, by the clock and of the processor; recorded where there is a folder,
    which is made and closed apart."""
    params = jax.tree.map(jnp.copy, params)
    state, seen = (WATCHED if step.__name__ == "watched" else TX).init(params), None
    recorder = None if folder is None else gdlab.Recorder(folder, config={})
    if recorder is not None:
        recorder.write(0, loss=0.0)
    jax.block_until_ready((params, state))
    began = now()
    for number in range(1, steps + 1):
        params, state, seen = step(params, state, batch)
        if recorder is not None:
            recorder.write(number, seen)
    jax.block_until_ready(params)
    passed = now() - began
    if recorder is not None:
        recorder.close()
    return passed


def tenth(step, params, batch, count, folder):
    """Seconds of `count` iterations, of which every tenth is observed."""
    params = jax.tree.map(jnp.copy, params)
    state = jax.block_until_ready(TX.init(params))
    with gdlab.Recorder(folder, config={}) as recorder:
        recorder.write(0, loss=0.0)
        began = now()
        for number in range(1, count + 1):
            params, state, seen = step(params, state, batch, look=number % 10 == 0)
            recorder.write(number, seen)
        jax.block_until_ready(params)
        return now() - began


def now():
    """[2]: seconds by the clock, and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def reading(params, repeats=50):
    """[2]: seconds of one sum over five pytrees like the parameters, each an array of its own, by the clock
    and of the processor."""
    trees = [jax.tree.map(lambda leaf, n=n: leaf + n, params) for n in range(5)]
    read = jax.jit(lambda trees: sum(jnp.sum(leaf) for leaf in jax.tree.leaves(trees)))
    jax.block_until_ready(read(trees))
    least = np.full(2, np.inf)
    for _ in range(repeats):
        began = now()
        jax.block_until_ready(read(trees))
        least = np.minimum(least, now() - began)
    return least


def tensorboard(folder):
    """tensorboardX's writer."""
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))
    return lambda step: [
        writer.add_scalar(name, value, step) for name, value in NUMBERS.items()
    ], writer.close


def wandb_offline(folder):
    """wandb, which sends nothing."""
    import wandb

    folder.mkdir()
    run = wandb.init(
        project="benchmark", mode="offline", dir=str(folder), settings=wandb.Settings(silent=True)
    )
    return lambda step: run.log(NUMBERS, step=step), run.finish


PEERS = {"tensorboardX": tensorboard, "wandb offline": wandb_offline}


if __name__ == "__main__":
    main()
