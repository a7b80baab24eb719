"""What a recorder costs a transformer: by the step, in memory, and where a moment is due.

    python -m benchmarks.transformer [--size 10M] [--batch 2] [--context 64] [--steps 3] [--rounds 3]

The network of `experiment=python_lm` (`gdlab.models.transformer`), Adam, parameters and state donated: the
bare step; `observe` of every layer alone, over arrays that are there; the step with it; with `observe` and
`write`. They take turns, the fastest round of each counts, by the clock and by the processor's, which other
work on the machine disturbs less. Short sequences make a step cheap and so the share of the recorder large:
both grow with the parameters, the step alone with the characters, too. Then memory: what the compiled steps
need besides what they are given, and, of `write` with the parameters, how long the call takes and what more
lies on the device after it, where nothing is due, where a point of the path is and where a moment is; how
long closing waits for the files. Nothing is asserted. Aims: 10M at most 2 % with norms of every layer; 124M
runs, and nothing of the parameters is copied unless something is due.
"""

import argparse
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import gdlab
from benchmarks.recorder import TX, now, reading
from gdlab.models.transformer import SIZES, gpt
from gdlab.store import kept

KINDS = ("nothing", "a point", "a moment")
MB = 1e6


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="10M")
    parser.add_argument("--batch", type=int, default=2, help="sequences")
    parser.add_argument("--context", type=int, default=64, help="characters of each")
    parser.add_argument("--steps", type=int, default=3, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where the files of moments go; a temporary folder")
    arguments = parser.parse_args()
    model = gpt(arguments.size, arguments.context)(rngs=nnx.Rngs(0))
    graph, params, others = nnx.split(model, nnx.Param, ...)
    draw = np.random.default_rng(0).integers
    batch = jnp.asarray(draw(98, size=(arguments.batch, arguments.context + 1)))
    count, size = (
        sum(getattr(leaf, name) for leaf in jax.tree.leaves(params)) for name in ("size", "nbytes")
    )
    print(f"{count:,} parameters, {size / MB:.0f} MB; {arguments.batch} x {arguments.context} characters")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        steps(lambda params: nnx.merge(graph, params, others), params, batch, arguments, Path(folder))
        moments(params, batch, Path(folder))


def steps(model, params, batch, arguments, folder):
    """The loop in all variants, and what each step needs."""
    compiled = {look: made(model, params, batch, look) for look in (False, True)}
    spare = [compiled[look].memory_analysis().temp_size_in_bytes / MB for look in (False, True)]
    print(f"the step needs {spare[0]:.0f} MB besides what it is given, with observe {spare[1]:.0f} MB")
    variants = {  # which of its steps are looked at, and whether they are written
        "bare": (lambda number: False, False),
        "observe": (lambda number: True, False),
        "observe + write": (lambda number: True, True),
    }
    least = {name: np.full(2, np.inf) for name in variants}
    for number in range(arguments.rounds):
        for name, (look, write) in variants.items():
            to = folder / f"{name} {number}" if write else None
            seconds = loop(compiled, params, batch, arguments.steps, look, to)
            least[name] = np.minimum(least[name], seconds)
    passes, alone = 1e3 * reading(params, 5), 1e3 * looking(params)
    for at, clock in enumerate(("the clock", "the processor's")):
        bare, *more = (1e3 * seconds[at] / arguments.steps for seconds in least.values())
        print(f"by {clock}: a bare step {bare:.1f} ms; a pass {passes[at]:.1f} ms")
        print(f"{'observe alone':>16}: {alone[at]:8.2f} ms, {alone[at] / bare:11.1%}")
        for name, each in zip([*variants][1:], more, strict=True):
            print(f"{name:>16}: {each - bare:8.2f} ms more, {each / bare - 1:6.1%}")


def looking(params, repeats=5):
    """[2]: seconds of `observe` compiled alone, over arrays that are there, by both clocks."""
    trees = [jax.tree.map(lambda leaf, n=n: leaf + n, params) for n in range(3)]
    state = TX.init(params)
    look = jax.jit(lambda p, g, u, s: gdlab.observe(params=p, grads=g, updates=u, opt_state=s))
    jax.block_until_ready(look(*trees, state))
    least = np.full(2, np.inf)
    for _ in range(repeats):
        began = now()
        jax.block_until_ready(look(*trees, state))
        least = np.minimum(least, now() - began)
    return least


def made(model, params, batch, look):
    """The compiled step, looked at or not."""

    def loss_fn(params, batch):
        logits = model(params)(batch[:, :-1])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:]).mean()

    def step(params, state, batch):
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, state = TX.update(grads, state, params)
        seen = gdlab.observe(
            loss=loss, params=params, grads=grads, updates=updates, opt_state=state, when=look
        )
        return optax.apply_updates(params, updates), state, seen

    state = jax.eval_shape(TX.init, params)
    return jax.jit(step, donate_argnums=(0, 1)).lower(params, state, batch).compile()


def loop(compiled, params, batch, steps, look, folder):
    """[2]: seconds of `steps` iterations, by the clock and of the processor, behind one that warms up."""
    params = jax.tree.map(jnp.copy, params)
    state = TX.init(params)
    recorder = gdlab.Recorder(folder, budget=0) if folder else None
    for number in range(steps + 1):
        if number == 1:
            jax.block_until_ready((params, state))
            began = now()
        params, state, seen = compiled[look(number)](params, state, batch)
        if recorder is not None:
            recorder.write(number, seen)
    jax.block_until_ready((params, state))
    passed = now() - began
    if recorder is not None:
        recorder.close()
    return passed


def moments(params, batch, folder, steps=12):
    """`write` with the parameters, of iterations that cost nothing."""
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    step = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1e-6, tree), donate_argnums=0)
    params, found = jax.tree.map(jnp.copy, params), {kind: [] for kind in KINDS}
    base = on_device()
    recorder = gdlab.Recorder(folder / "kept", moments=[steps - 3], budget=int(6.5 * size))
    recorder.start(params)
    for k in range(steps):
        params = jax.block_until_ready(step(params))
        settled(recorder)
        began = time.perf_counter()
        recorder.write(k, params=params, batch=batch, loss=0.0)
        seconds = time.perf_counter() - began
        more = (on_device() - base) / size
        found["a moment" if k == steps - 3 else "a point" if more > 0.5 else "nothing"].append(
            (seconds, more)
        )
    began = time.perf_counter()
    recorder.close()
    rest = time.perf_counter() - began
    for kind, calls in found.items():
        if calls:
            seconds, more = np.median(calls, axis=0)
            print(
                f"write, {kind} due ({len(calls)} times): {1e3 * seconds:8.2f} ms, then "
                f"{more:.1f} copies of the parameters more on the device"
            )
    held = [path.stat().st_size for path in (folder / "kept" / kept.MOMENTS).iterdir()]
    print(
        f"a moment is a file of {max(held) / MB:.0f} MB; closing waited {rest:.2f} s for what was not "
        "written yet"
    )


def settled(recorder):
    """Waits until nothing is on its way to a file."""
    if recorder._pen is not None:
        with recorder._pen.shelf._settled:
            recorder._pen.shelf._settled.wait_for(lambda: recorder._pen.shelf._waiting <= 0, 60)


def on_device():
    """Bytes of all arrays that are on the device; several may be of one buffer."""
    there = [array for array in jax.live_arrays() if not array.is_deleted()]
    return sum({array.unsafe_buffer_pointer(): array.nbytes for array in there}.values())


if __name__ == "__main__":
    main()
