"""The loss at many parameter vectors on the same examples, in bounded memory and on all devices.

Examples are taken in blocks small enough to stay in the processor's cache, points one after the other
(side by side on an accelerator); the means over blocks are averaged in float64 on the host. The scatter
of the block means gives the standard deviation of the whole mean at no cost: there are LEAST blocks or more,
so that it is known to 10 %.

A loss that is not a mean over examples (batch statistics, scatter matrices) is noticed by comparing
one block with its halves, and gets blocks as large as SAMPLES_TOGETHER. How much it scatters tell examples
that are drawn with replacement.
"""

import itertools
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gdlab.probes.vectors.scatter import deviation

BLOCK = {"cpu": 50}
BLOCK_ELSEWHERE = 500
POINTS = {"cpu": 8}  # per device and call
POINTS_ELSEWHERE = 32
BLOCKS_PER_CALL = 20
LEAST = 64  # blocks: their scatter then errs by 1 / sqrt(2 * 63), 9 %
SAMPLES_TOGETHER = 2000
SAME_LOSS = 1e-4
ADDITIVE = 1e-5  # relative difference up to which a loss counts as a mean over examples


class Losses:
    """J at rows of parameters: losses(params [G, p], key=None) -> (mean, deviation, error) [G] each, float64.

    problem: its `loss(params, batch, key=key)`; unravel: vector [p] -> params; data: {"x": [N, ...], ...}
    or None for a problem without data; devices: None: all of the backend;
    layout: (context manager, function on arrays of examples), another layout of the examples and the
    context in which the loss understands it; used on CPUs, where it gives the same loss.
    `deviation` is the standard deviation of the mean over examples, `error` its own standard error; both NaN
    without data, with one example, and where `additive` is False: see `resampled`.
    """

    def __init__(self, problem, unravel, data, *, devices=None, layout=None):
        self.problem, self.unravel = problem, unravel
        self.devices = list(devices) if devices is not None else jax.local_devices()
        self.layout = layout
        self.samples = 0 if data is None else len(next(iter(data.values())))
        self.data, self.block, self._program = data, 0, None
        self._ready, self.additive = False, True
        platform = self.devices[0].platform
        self._wanted = BLOCK.get(platform, BLOCK_ELSEWHERE)
        self.points = POINTS.get(platform, POINTS_ELSEWHERE) * len(self.devices)
        self.context, self._arrange = nullcontext, None
        self._calls: list = []
        self._rest: Any = None
        self._side_by_side = platform != "cpu"

    def __call__(self, params, key=None):
        """Mean, its standard deviation and that one's error at params [G, p]; key: of dropout, None: off."""
        params = np.asarray(params)
        if not self._ready:
            self._set_up(params)
            self._ready = True
        found = np.empty((3, len(params)))
        for start in range(0, len(params), self.points):
            chunk = params[start : start + self.points]
            count = len(chunk)
            padded = np.concatenate([chunk, np.repeat(chunk[-1:], self.points - count, axis=0)])
            found[:, start : start + count] = np.stack(self._chunk(jnp.asarray(padded), key))[:, :count]
        return tuple(found)

    def resampled(self, params, draws, seed):
        """(deviation, error) [G] of the mean at params [G, p] over `draws` samples of as many examples, drawn
        from them with replacement: Efron's bootstrap. NaN without data."""
        if self.data is None:
            return np.full((2, len(params)), np.nan)
        rng, means = np.random.default_rng(seed), []
        whole = self.data, self._calls, self._rest
        try:
            for _ in range(draws):
                index = np.sort(rng.integers(self.samples, size=self.samples))
                self.data = {name: array[index] for name, array in whole[0].items()}
                self._lay_out()
                means.append(self(params)[0])
        finally:
            self.data, self._calls, self._rest = whole
        return deviation(means)

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
        self.additive = self.samples > 1 and self._is_additive(probe, block)
        few = max(1, self.samples // LEAST)
        self.block = min(block, few) if self.additive else min(self.samples, SAMPLES_TOGETHER)
        self._lay_out()
        if self.layout is not None and not self._side_by_side and self._agrees(probe):
            self.context, self._arrange = self.layout
            self._lay_out()

    def _lay_out(self):
        """The examples in blocks, and those blocks in calls."""
        block, whole = self.block, self.samples // self.block
        edges = [*range(0, whole, BLOCKS_PER_CALL), whole]
        self._calls = [self._blocks(a * block, b * block, b - a) for a, b in itertools.pairwise(edges)]
        self._rest = self._blocks(whole * block, self.samples, 1) if self.samples % block else None
        if self._arrange is not None:
            every = jax.vmap(self._arrange)
            self._calls = [{n: every(a) for n, a in part.items()} for part in self._calls]
            self._rest = self._rest and {n: every(a) for n, a in self._rest.items()}

    def _blocks(self, start, stop, count):
        """The examples [start, stop) as `count` blocks: {name: [count, block, ...]}."""
        return {
            name: jnp.asarray(array[start:stop]).reshape(count, -1, *array.shape[1:])
            for name, array in self.data.items()
        }

    def _is_additive(self, vector, block):
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
            return values, *np.full((2, len(values)), np.nan)
        keys = [None if key is None else jax.random.fold_in(key, n) for n in range(len(self._calls) + 1)]
        means = [
            np.asarray(self._run(params, *call), np.float64)
            for call in zip(self._calls, keys[:-1], strict=True)
        ]
        blocks = np.concatenate(means, axis=1)
        whole = blocks.shape[1]
        total = blocks.sum(axis=1) * self.block
        if self._rest is not None:
            left = self.samples - whole * self.block
            total = total + np.asarray(self._run(params, self._rest, keys[-1]), np.float64)[:, 0] * left
        scatter = np.stack(deviation(blocks.T if self.additive else blocks.T[:1]))
        # Means of `block` examples scatter sqrt(block) times less than examples.
        return total / self.samples, *scatter * np.sqrt(self.block / self.samples)

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
                if key is None:
                    return jax.lax.map(lambda batch: self.problem.loss(params, batch, key=None), blocks)
                # A key for each block: the same masks in all of them would not average out over the examples.
                keys = jax.random.split(key, len(next(iter(blocks.values()))))
                return jax.lax.map(
                    lambda each: self.problem.loss(params, each[0], key=each[1]), (blocks, keys)
                )

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
