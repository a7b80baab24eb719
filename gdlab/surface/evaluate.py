"""The loss at many parameter vectors on the same examples, in bounded memory and on all devices.

Examples are taken in blocks small enough to stay in the processor's cache, points one after the other
(side by side on an accelerator); the means over blocks are averaged in float64 on the host. The scatter
of the block means gives the standard deviation of the whole mean at no cost.

A loss that is not a mean over examples (batch statistics, scatter matrices) is noticed by comparing
one block with its halves, and gets blocks as large as SAMPLES_TOGETHER.
"""

import itertools
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

BLOCK = {"cpu": 50}
BLOCK_ELSEWHERE = 500
POINTS = {"cpu": 8}  # per device and call
POINTS_ELSEWHERE = 32
BLOCKS_PER_CALL = 20
SAMPLES_TOGETHER = 2000
SAME_LOSS = 1e-4
ADDITIVE = 1e-5  # relative difference up to which a loss counts as a mean over examples


class Losses:
    """J at rows of parameter vectors: losses(params [G, p], key=None) -> (mean [G], deviation [G]), float64.

    problem: its `loss(params, batch, key=key)`; unravel: vector [p] -> params; data: {"x": [N, ...], ...}
    or None for a problem without data; devices: None: all of the backend;
    layout: (context manager, function on arrays of examples), another layout of the examples and the
    context in which the loss understands it; used on CPUs, where it gives the same loss.
    `deviation` is that of the mean over the examples (NaN where there is one block or no data).
    """

    def __init__(self, problem, unravel, data, *, devices=None, layout=None):
        self.problem, self.unravel = problem, unravel
        self.devices = list(devices) if devices is not None else jax.local_devices()
        self.layout = layout
        self.samples = 0 if data is None else len(next(iter(data.values())))
        self.data, self.block, self._program = data, 0, None
        self._ready = False
        platform = self.devices[0].platform
        self._wanted = BLOCK.get(platform, BLOCK_ELSEWHERE)
        self.points = POINTS.get(platform, POINTS_ELSEWHERE) * len(self.devices)
        self.context = nullcontext
        self._side_by_side = platform != "cpu"

    def __call__(self, params, key=None):
        """Mean and its standard deviation at params [G, p]; key: of dropout, None: off."""
        params = np.asarray(params)
        if not self._ready:
            self._set_up(params)
            self._ready = True
        mean, deviation = np.empty(len(params)), np.empty(len(params))
        for start in range(0, len(params), self.points):
            chunk = params[start : start + self.points]
            count = len(chunk)
            padded = np.concatenate([chunk, np.repeat(chunk[-1:], self.points - count, axis=0)])
            means, scatter = self._chunk(jnp.asarray(padded), key)
            mean[start : start + count] = means[:count]
            deviation[start : start + count] = scatter[:count]
        return mean, deviation

    def random(self, params):
        """Whether the loss depends on its random key at all; params: a pytree of shapes."""
        block = None if self.data is None else {name: array[:2] for name, array in self.data.items()}
        key = jax.random.key(0)
        traced = jax.make_jaxpr(lambda p, k: self.problem.loss(p, block, key=k))(params, key)
        *_, variable = traced.jaxpr.invars
        return any(variable in equation.invars for equation in traced.jaxpr.eqns)

    def _set_up(self, params):
        """Choose the block, after a look at how the loss behaves, and lay the examples out in blocks."""
        # A diverged start is no measure of the loss; zeros would hide what depends on the examples.
        probe = jnp.asarray(params[np.argmin(np.where(np.isfinite(params).all(1), 0, 1))])
        if self.data is None:
            return
        block = min(self._wanted, self.samples)
        if block < 2 or not self._additive(probe, block):
            block = min(self.samples, SAMPLES_TOGETHER)
        self.block = block
        whole = self.samples // block
        edges = [*range(0, whole, BLOCKS_PER_CALL), whole]
        self._calls = [self._blocks(a * block, b * block, b - a) for a, b in itertools.pairwise(edges)]
        self._rest = self._blocks(whole * block, self.samples, 1) if self.samples % block else None
        if self.layout is not None and not self._side_by_side and self._agrees(probe):
            self.context, arrange = self.layout
            every = jax.vmap(arrange)
            self._calls = [{n: every(a) for n, a in part.items()} for part in self._calls]
            self._rest = self._rest and {n: every(a) for n, a in self._rest.items()}

    def _blocks(self, start, stop, count):
        """The examples [start, stop) as `count` blocks: {name: [count, block, ...]}."""
        return {
            name: jnp.asarray(array[start:stop]).reshape(count, -1, *array.shape[1:])
            for name, array in self.data.items()
        }

    def _additive(self, vector, block):
        half = block // 2
        parts = [slice(0, half), slice(half, 2 * half), slice(0, 2 * half)]
        one, other, both = (
            self._value(vector, {n: jnp.asarray(a[part]) for n, a in self.data.items()}) for part in parts
        )
        if not np.isfinite([one, other, both]).all():
            return True
        return abs((one + other) / 2 - both) <= ADDITIVE * max(abs(both), abs(one), abs(other))

    def _agrees(self, vector):
        """Whether the loss is the same in the other layout."""
        context, arrange = self.layout
        batch = {name: array[0] for name, array in self._calls[0].items()}
        plain = self._value(vector, batch)
        try:
            with context():
                other = self._value(vector, {name: arrange(array) for name, array in batch.items()})
        except Exception:  # whatever a network does with a layout it does not know
            return False
        return abs(plain - other) <= SAME_LOSS * max(abs(plain), 1e-6)

    def _value(self, vector, batch):
        # A new function each time: a trace from within a layout's context must not be found outside.
        return float(jax.jit(lambda v, b: self._loss(v, b))(vector, batch))

    def _loss(self, vector, batch, key=None):
        return self.problem.loss(self.unravel(vector), batch, key=key)

    def _chunk(self, params, key):
        if self.data is None:
            values = np.asarray(self._run(params, None, key), np.float64)[:, 0]
            return values, np.full(len(values), np.nan)
        means = [np.asarray(self._run(params, part, key), np.float64) for part in self._calls]
        blocks = np.concatenate(means, axis=1)
        whole = blocks.shape[1]
        total = blocks.sum(axis=1) * self.block
        if self._rest is not None:
            left = self.samples - whole * self.block
            total = total + np.asarray(self._run(params, self._rest, key), np.float64)[:, 0] * left
        with np.errstate(invalid="ignore"):
            scatter = blocks.std(axis=1, ddof=1) if whole > 1 else np.full(len(blocks), np.nan)
            # Means of `block` examples scatter sqrt(block) times less than examples.
            return total / self.samples, scatter * np.sqrt(self.block / self.samples)

    def _run(self, params, blocks, key):
        """Mean loss of every block at every point, [G, blocks]."""
        if self._program is None:
            self._program = self._compile()
        return self._program(params, blocks, key)

    def _compile(self):
        def one(params, blocks, key):
            with self.context():
                if blocks is None:
                    return self.problem.loss(params, None, key=key)[None]
                return jax.lax.map(lambda batch: self.problem.loss(params, batch, key=key), blocks)

        def many(vectors, blocks, key):
            batch_size = len(vectors) if self._side_by_side else None
            # Unravelled before the loop: a kernel is read many times in it.
            params = jax.vmap(self.unravel)(vectors)
            return jax.lax.map(lambda each: one(each, blocks, key), params, batch_size=batch_size)

        if len(self.devices) == 1:
            return jax.jit(many)
        mesh = jax.make_mesh((len(self.devices),), ("g",), axis_types=(AxisType.Auto,), devices=self.devices)
        over, whole = PartitionSpec("g"), PartitionSpec()
        split = jax.shard_map(many, mesh=mesh, in_specs=(over, whole, whole), out_specs=over, check_vma=False)
        sharded = jax.jit(split)
        return lambda params, *rest: sharded(jax.device_put(params, NamedSharding(mesh, over)), *rest)
