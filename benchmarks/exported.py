"""Functions that a run carries against those it was trained with: `python -m benchmarks.exported`.

A surface of 19 x 19 points over made-up images of 32 x 32: a Modified-LeNet as gdlab trains it (its loss in
both layouts) and a loss of somebody's own (a network without gdlab's layout), each live and from a run
folder, taking turns in one process; the foreign one also as a plain `lax.map` over the points. Then what
exporting takes, and whether value, gradient and Hessian-vector product are those of the live loss to the
last bit.
"""

import argparse
import os
import tempfile
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from benchmarks.timing import least_seconds
from gdlab.analysis.surfaces.plane import random_plane
from gdlab.data.dataset import Dataset
from gdlab.execution.carrying import losses_of
from gdlab.exported import open_functions, write_functions
from gdlab.exported.writing import write
from gdlab.models.images_last import images_last, to_images_last
from gdlab.models.lenet import modified_lenet
from gdlab.probes.vectors.losses import Losses
from gdlab.problems import classification

BATCH = 64


def main():
    """Print seconds and ratios, sizes, and what is equal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--side", type=int, default=19)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, jax {jax.__version__}, load {os.getloadavg()[0]:.1f}")
    data = _images(options.images)
    with tempfile.TemporaryDirectory() as folder:
        _own(folder, data, options)
    with tempfile.TemporaryDirectory() as folder:
        _foreign(folder, data, options)


def _own(folder, data, options):
    """The surface of a run of gdlab's own."""
    problem = classification(model=modified_lenet(), data=data)
    params = jax.jit(problem.init)(jax.random.key(0))
    batch = {name: jnp.asarray(array[:BATCH]) for name, array in data.train.items()}
    takes = {"params": params, "batch": batch}
    _timed(folder, lambda: write(folder, losses_of("loss", problem.loss, takes, jax.random.key(0))))
    carried = open_functions(folder).problem()
    _equal(problem.loss, carried.loss, params, batch)
    vector, unravel = ravel_pytree(params)
    vectors = _points(vector, params, options.side)
    layout = images_last, to_images_last
    contestants = {
        name: Losses(one, unravel, data.train, layout=layout)
        for name, one in (("live", problem), ("carried", carried))
    }
    _compare("Modified-LeNet, gdlab's own", contestants, vectors, options.rounds)


class Network(nn.Module):
    """Of somebody's own: padding and strides, which gdlab's layout does not know."""

    @nn.compact
    def __call__(self, x):
        x = nn.gelu(nn.Conv(8, (3, 3), strides=2)(x))
        x = nn.gelu(nn.Conv(16, (3, 3), strides=2)(x))
        return nn.Dense(10)(x.mean((1, 2)))


def _foreign(folder, data, options):
    """The surface of a foreign loss."""
    network = Network()
    params = network.init(jax.random.key(0), data.train["x"][:1])["params"]
    batch = {name: jnp.asarray(array[:BATCH]) for name, array in data.train.items()}

    def loss(params, batch, key=None):
        logits = network.apply({"params": params}, batch["x"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()

    _timed(folder, lambda: write_functions(folder, params=params, batch=batch, loss=loss))
    carried = open_functions(folder).problem()
    _equal(loss, carried.loss, params, batch)
    vector, unravel = ravel_pytree(params)
    vectors = _points(vector, params, options.side)
    every = {name: jnp.asarray(array) for name, array in data.train.items()}
    live = carried._replace(loss=loss)

    def mapped(function):
        return jax.jit(lambda rows: jax.lax.map(lambda v: function(unravel(v), every), rows))

    contestants = {
        "live": Losses(live, unravel, data.train),
        "carried": Losses(carried, unravel, data.train),
    }
    _compare("a foreign loss, as a surface", contestants, vectors, options.rounds)
    plain = {"live": mapped(loss), "carried": mapped(carried.loss)}
    few = vectors[:: max(1, len(vectors) // 40)]
    _compare("a foreign loss, lax.map over 40 points", plain, few, options.rounds)


def _timed(folder, export):
    begun, worked = time.perf_counter(), time.process_time()
    notes = export()
    seconds, worked = time.perf_counter() - begun, time.process_time() - worked
    files = [
        os.stat(os.path.join(folder, "functions", name)).st_size for name in os.listdir(f"{folder}/functions")
    ]
    told = f"{sum(files) / 1024:.0f} KB in {len(files)} files{''.join(notes)}"
    print(f"exported in {seconds:.1f} s ({worked:.1f} s of work), {told}")


def _equal(live, carried, params, batch):
    direction = jax.tree.map(
        lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape), params
    )
    found = {}
    for name, loss in (("live", live), ("carried", carried)):
        gradient = jax.grad(lambda p, loss=loss: loss(p, batch))
        found[name] = (
            jax.jit(lambda p, loss=loss: loss(p, batch))(params),
            jax.jit(gradient)(params),
            jax.jit(lambda p, u, g=gradient: jax.jvp(g, (p,), (u,))[1])(params, direction),
        )
    names = ("value", "gradient", "Hessian-vector product")
    for name, one, other in zip(names, found["live"], found["carried"], strict=True):
        pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        gap = max(float(jnp.abs(a - b).max()) for a, b in pairs)
        print(f"  {name}: {'equal' if gap == 0 else f'largest difference {gap:.1e}'}")


def _compare(what, contestants, vectors, rounds):
    """Seconds of each, taking turns, and how far the values are apart."""
    values = [np.asarray(jax.tree.leaves(one(vectors))[0], np.float64) for one in contestants.values()]
    runs = [lambda one=one: jax.block_until_ready(one(vectors)) for one in contestants.values()]
    live, carried = least_seconds(runs, rounds)
    gap = np.abs(values[0] - values[1]).max()
    print(
        f"{what}: live {live:.2f} s, carried {carried:.2f} s, {carried / live:.2f} x, "
        f"largest difference {gap:.1e}"
    )


def _points(vector, params, side):
    plane = random_plane(np.asarray(vector), [leaf.shape for leaf in jax.tree.leaves(params)])
    axis = np.linspace(-1, 1, side)
    points = np.stack([grid.ravel() for grid in np.meshgrid(axis, axis)], axis=1)
    return plane.at(points).astype(np.float32)


def _images(count):
    rng = np.random.default_rng(0)
    train = {
        "x": rng.standard_normal((count, 32, 32, 1)).astype(np.float32),
        "y": rng.integers(0, 10, count).astype(np.int32),
    }
    return Dataset("made_up", train, None, tuple(map(str, range(10))))


if __name__ == "__main__":
    main()
