"""What watches the members of a program between its chunks: the watchers of a run, for all of them."""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.monitors.evaluation import BLOCK, PARTS, chosen_rows
from gdlab.monitors.validation import Validation, summed_cross_entropy
from gdlab.plan.monitoring import row_watchers

# Intermediate values of the members that are evaluated at once: they should stay in the cache.
NUMBERS = 1 << 22


def watchers_alone(assembly):
    """[(watcher, iterations between its rows), ...] of a run alone, as of a group's."""
    return [(EachMember(watcher, _only), every) for watcher, every in row_watchers(assembly)]


def group_watchers(assembly):
    """[(watcher, iterations between its rows), ...] of groups of runs like this one.

    choose(seeds) says the seeds of the members, one where all have the same; then
    rows(params [W], step, wanted) -> {member: {array: rows [1, ...]}} of the members `wanted`.
    """
    made = []
    for watcher, every in row_watchers(assembly):
        together = isinstance(watcher, Validation)
        options = (assembly, assembly.plan.record.validate_examples)
        made.append((GroupValidation(watcher, *options) if together else EachMember(watcher, member), every))
    return made


class EachMember:
    """A watcher of runs, asked for one member after the other.

    pick  (params of all, index) -> the parameters of one
    """

    def __init__(self, watcher, pick):
        self.watcher, self.pick, self.specs = watcher, pick, watcher.specs

    def choose(self, seeds):
        """Every run is looked at with the same examples."""

    def rows(self, params, step, wanted):
        """{member: {array: rows [1, ...]}} of the members `wanted`."""
        return {i: self.watcher.rows(self.pick(params, i), step) for i in wanted}


class GroupValidation:
    """Evaluates all members in one program, each on the samples that its seed chooses.

    validation  of one of them
    """

    def __init__(self, validation, assembly, examples):
        self.specs = validation.specs
        self.examples, self.dataset, self.index = examples, assembly.dataset, []
        problem, dataset = assembly.problem, assembly.dataset
        self.data = [{k: jnp.asarray(v) for k, v in dataset.test.items()}, assembly.data]
        measured_on = validation.calibration
        self.calibration = None if measured_on is None else jnp.asarray(measured_on)
        example = dataset.train["x"][:1]
        self.evaluate = jax.jit(_evaluation(problem, assembly, example))

    def choose(self, seeds):
        """Take the examples that the seeds of the members choose; one seed for all: the same for all."""
        self.index = []
        for part in reversed(PARTS):  # test, then train: the order of the columns
            rows = [chosen_rows(self.dataset, part, self.examples, seed) for seed in seeds]
            self.index.append(jnp.asarray(rows[0] if len(seeds) == 1 else np.stack(rows), jnp.int32))

    def rows(self, params, step, wanted):
        """{member: {"validation": rows [1, 5]}} of the members `wanted`."""
        parts = [
            self.evaluate(params, data, index, self.calibration)
            for data, index in zip(self.data, self.index, strict=True)
        ]
        found = []
        for (loss, right), index in zip(jax.device_get(parts), self.index, strict=True):
            # The share is taken here: in float32 0.9 would read 0.89999998.
            found += [loss, right / index.shape[-1]]
        columns = np.stack(found, axis=1).astype(np.float64)
        return {i: {"validation": np.array([[step, *columns[i]]])} for i in wanted}


def member(params, index):
    """The parameters of one member."""
    return jax.tree.map(lambda leaf: leaf[index], params)


def _only(params, index):
    """Those of the one run that there is."""
    del index
    return params


def _evaluation(problem, assembly, example):
    """(params [W], data, index [n] or [W, n], calibration) -> (mean cross-entropy [W], right answers [W])."""

    def single(params, data, index, measured_on):
        n = index.shape[0]
        size = min(BLOCK, n)
        count = -(-n // size)
        padded = jnp.resize(index, (count * size,)).reshape(count, size)
        weights = (jnp.arange(count * size) < n).reshape(count, size)
        statistics = () if measured_on is None else (problem.statistics(params, measured_on),)

        def block(total, rows):
            index, weight = rows
            logits = problem.predict(params, data["x"][index], *statistics)
            y = data["y"][index]
            loss = summed_cross_entropy(logits, y, weight)
            right = (weight & (logits.argmax(axis=1) == y)).sum(dtype=jnp.int32)
            return (total[0] + loss / n, total[1] + right), None

        start = (jnp.zeros((), jax.tree.leaves(params)[0].dtype), jnp.int32(0))
        (loss, right), _ = jax.lax.scan(block, start, (padded, weights))
        return loss, right

    def evaluate(params, data, index, calibration):
        shared = index.ndim == 1
        own = (params,) if shared else (params, index)

        def one(own):
            return single(own[0], data, index if shared else own[1], calibration)

        width = jax.tree.leaves(params)[0].shape[0]
        at_once = min(width, max(1, NUMBERS // _largest(problem, assembly, example)))
        return jax.lax.map(one, own, batch_size=at_once)

    return evaluate


def _largest(problem, assembly, example):
    """Numbers in the largest intermediate array of an evaluated block of one member."""
    params = jax.eval_shape(problem.init, assembly.key)
    block = jax.ShapeDtypeStruct((BLOCK, *example.shape[1:]), jnp.float32)
    jaxpr = jax.make_jaxpr(problem.predict)(params, block)
    return max(variable.aval.size for equation in jaxpr.eqns for variable in equation.outvars)
