"""Dumps: every so often, what a network predicts for each validation image and how its filters stand.

Taken between chunks of the training by programs of their own, so that they change no bit of a run. The
dump of iteration k is of theta_k, with the gradient on the batch of iteration k and the update that
follows. The gradient is that of the data, without weight decay: a dead filter has none, however much it
shrinks. Liu et al. 2018 (DeepTracker), section 6.
"""

import inspect
import math
from copy import copy
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.monitors.evaluation import sample
from gdlab.monitors.network import kernels
from gdlab.monitors.nonlinearity import with_outputs
from gdlab.monitors.validation import calibration, make_predictions
from gdlab.records import DISTRIBUTION, DUMP_COLUMNS, DUMP_STATISTICS
from gdlab.store import ArraySpec

AUTO_COUNT = 150  # dumps of a run with dumps=auto
ACTIVATED = 64  # images whose activations are sampled, evenly spread over the dumped ones
SORTED = 16_384  # activations of a layer that its quartiles are taken of, evenly spread; the rest is of all
ACTIVATION_STATISTICS = (*DISTRIBUTION, "zeros")
PER_FILTER = tuple(f"dump/filter/{name}" for name in DUMP_STATISTICS)
PER_LAYER = tuple(f"dump/layer/{name}" for name in DUMP_STATISTICS)


class Moment(NamedTuple):
    """An iteration to be dumped: k, theta_k, theta_{k+1} or None at the end, batch and key of iteration k."""

    iteration: int
    params: Any
    after: Any
    batch: Any
    key: Any


class Dumper:
    """Takes the dumps of one run.

    problem, dataset  of the run; a problem without kernels gives no statistics of layers
    network           {"nodes": [...]} of `gdlab.monitors.network.describe`
    examples          validation images, the first of a seeded permutation; None: all
    train_examples    training examples whose loss and accuracy go beside
    rate              (k) -> learning rate, NaN where the optimizer has none
    version           `record.version` of the run. 1: activations of images of the first classes alone, which
                      are normalised by themselves, and the share of zeros before the nonlinearity
    previous          theta of the dump before, or None: what changes are counted from
    """

    def __init__(self, problem, dataset, network, *, examples, train_examples, seed, rate, version):
        self.problem, self.network, self.rate, self.version = problem, network, rate, version
        self._dataset, self._counts = dataset, (examples, train_examples)
        self._choose(seed)
        self.predict = make_predictions(problem)
        self.calibration = calibration(problem, dataset, version)
        self.previous = None
        self._statistics = jax.jit(partial(statistics, network))
        loss = problem.data_loss or problem.loss
        self._gradient = jax.jit(lambda params, batch, key: jax.grad(loss)(params, batch, key=key))
        self._activated = jax.jit(self._activation_rows)
        self._measured_on = jax.jit(problem.statistics or (lambda params, x: None))

    def of_run(self, *, seed, rate):
        """The Dumper of another run of this network and these data, by the programs compiled for this one."""
        other = copy(self)
        other.rate, other.previous = rate, None
        other._choose(seed)
        return other

    def _choose(self, seed):
        """Take the examples that a run's seed chooses, those of the test set ordered by class."""
        dataset, counts = self._dataset, dict(zip(("test", "train"), self._counts, strict=True))
        self.samples = {part: sample(dataset, part, count, seed) for part, count in counts.items()}
        order = np.argsort(self.samples["test"]["y"], kind="stable")
        self.images = _positions(dataset, counts["test"], seed)[order]
        self.samples["test"] = {name: array[order] for name, array in self.samples["test"].items()}

    def specs(self, params):
        """{name: ArraySpec} of the arrays that a run folder needs, for parameters of the run."""
        nodes = self.network["nodes"]
        names, filters = tuple(node["name"] for node in nodes), _filters(nodes)
        images = len(self.images)
        arrays = {
            "dump/scalars": ArraySpec("f8", (len(DUMP_COLUMNS),), DUMP_COLUMNS, ("dump", "column")),
            "dump/predicted": ArraySpec("u2", (images,), dims=("dump", "image")),
            "dump/label": ArraySpec("u2", (images,), dims=("once", "image")),
            "dump/image": ArraySpec("i4", (images,), dims=("once", "image")),
        }
        if nodes:
            arrays |= dict.fromkeys(PER_FILTER, ArraySpec("f4", (filters,), dims=("dump", "filter")))
            arrays |= dict.fromkeys(PER_LAYER, ArraySpec("f4", (len(nodes),), names, ("dump", "layer")))
        outputs = self._output_names(params)
        for name in ACTIVATION_STATISTICS if outputs else ():
            arrays[f"dump/activation/{name}"] = ArraySpec(
                "f4", (len(outputs),), outputs, ("dump", "activation")
            )
        return arrays

    def constants(self):
        """{name: rows [1, images]} that are appended once."""
        labels = self.samples["test"]["y"]
        return {
            "dump/label": labels[None].astype(np.uint16),
            "dump/image": self.images[None].astype(np.int32),
        }

    def take(self, moment):
        """{name: rows [1, ...]} of the dump of a Moment; the next one counts its changes from here."""
        params = moment.params
        scalars = [moment.iteration, self.rate(moment.iteration)]
        found = {part: self.predict(params, data, self.calibration) for part, data in self.samples.items()}
        for part, predicted in found.items():
            scalars += [predicted.loss, (predicted.labels == self.samples[part]["y"]).mean()]
        rows = {"dump/scalars": np.array([scalars], float)}
        rows["dump/predicted"] = found["test"].labels[None].astype(np.uint16)
        if self.network["nodes"]:
            rows |= self._measured(moment)
        if self.problem.activations is not None:
            table = np.asarray(self._activated(params, *self._activation_inputs(params)))
            names = (f"dump/activation/{name}" for name in ACTIVATION_STATISTICS)
            rows |= {name: table[None, :, i] for i, name in enumerate(names)}
        self.previous = params
        return rows

    def _measured(self, moment):
        params = moment.params
        gradient = self._gradient(params, moment.batch, moment.key)
        nowhere = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), params)
        after = nowhere if moment.after is None else moment.after
        previous = nowhere if self.previous is None else self.previous
        filters, layers = jax.device_get(self._statistics(params, gradient, after, previous))
        rows = {name: filters[None, :, i] for i, name in enumerate(PER_FILTER)}
        return rows | {name: layers[None, :, i] for i, name in enumerate(PER_LAYER)}

    def _output_names(self, params):
        if self.problem.activations is None:
            return ()
        found = jax.eval_shape(self._activations, params, self.samples["test"]["x"][:1])
        place = {node["name"]: i for i, node in enumerate(self.network["nodes"])}
        return tuple(sorted(found, key=lambda name: (place.get(name, len(place)), name)))

    def _activations(self, params, x, *statistics):
        # Before there was a choice, modules that drop out counted as layers.
        options = inspect.signature(self.problem.activations).parameters
        every = {"dropout": True} if self.version == 1 and "dropout" in options else {}
        return self.problem.activations(params, x, *statistics, **every)

    def _activation_inputs(self, params):
        """(images [ACTIVATED, ...], and what batch normalisation takes, where there is one)."""
        x = self.samples["test"]["x"]
        if self.version == 1:
            return (jnp.asarray(x[: 8 * ACTIVATED : 8]),)
        x = jnp.asarray(x[spread(len(x), ACTIVATED)])
        return (x,) if self.calibration is None else (x, self._measured_on(params, self.calibration))

    def _activation_rows(self, params, x, *statistics):
        names = self._output_names(params)
        if self.version == 1:
            found = self._activations(params, x)
            return jnp.stack([activation_row(found[name], found[name]) for name in names])
        found, behind = with_outputs(self._activations, params, x, *statistics)
        return jnp.stack([activation_row(found[name], behind[name]) for name in names])


def statistics(network, params, gradient, after, previous):
    """DUMP_STATISTICS of every filter [F, S] and of every node [N, S], float32.

    network               of `gdlab.monitors.network.describe`
    params, gradient      theta_k and the gradient there: pytrees
    after, previous       theta_{k+1} and the theta of the dump before; NaN where there is none
    """
    trees = [kernels(network, tree) for tree in (params, gradient, after, previous)]
    nodes = network["nodes"]
    per_filter = {
        i: _row(*(tree[i].reshape(-1, tree[i].shape[-1]).T for tree in trees)) for i in sorted(trees[0])
    }
    below = _layers_below(nodes)
    per_node = []
    for i in range(len(nodes)):
        pooled = (jnp.concatenate([tree[j].ravel() for j in below[i]]) for tree in trees)
        per_node.append(_row(*(part[None] for part in pooled))[0])
    filters = [per_filter[i] for i in sorted(per_filter)]
    return jnp.concatenate(filters).astype(jnp.float32), jnp.stack(per_node).astype(jnp.float32)


def spread(count, wanted):
    """Positions of `wanted` of `count` things, evenly spread; of all where there are not so many, int [n]."""
    return np.arange(count) if count <= wanted else np.arange(wanted) * count // wanted


def activation_row(values, behind):
    """ACTIVATION_STATISTICS of the activations of a layer [n, ..., units], float32 [8].

    The distribution is that of what the layer returns, `values`; zeros are counted among `behind`, the same
    behind the nonlinearity that follows: there a unit that has died is seen.
    """
    flat = values.astype(jnp.float32).ravel()
    # Sorting all of them took most of a dump's time.
    quartiles = _distribution(flat[:: _stride(flat.size)][None])[3:6]
    low, middle, high = (value[0] for value in quartiles)
    return jnp.stack(
        [flat.mean(), flat.std(), flat.min(), low, middle, high, flat.max(), (behind == 0).mean()]
    )


def _row(weight, gradient, after, previous):
    """DUMP_STATISTICS of each row of weights [R, n]: [R, S]."""
    # As half the squared distance of the unit vectors: 1 - cos loses all digits where little has changed.
    turned = ((_unit(weight) - _unit(previous)) ** 2).sum(axis=1) / 2
    moved = [jnp.linalg.norm(after - weight, axis=1), jnp.linalg.norm(weight - previous, axis=1), turned]
    return jnp.stack([*_distribution(weight), *_distribution(gradient), *moved], axis=1)


def _unit(rows):
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def _distribution(values):
    """DISTRIBUTION of each row of [R, n]: a list of [R]. Quartiles lie between neighbours, linearly."""
    ordered = jnp.sort(values, axis=1)
    last = values.shape[1] - 1

    def quantile(share):
        low = int(share * last)
        high = min(low + 1, last)
        return ordered[:, low] + (share * last - low) * (ordered[:, high] - ordered[:, low])

    ends = ordered[:, 0], ordered[:, -1]
    middle = (quantile(share) for share in (0.25, 0.5, 0.75))
    return [values.mean(axis=1), values.std(axis=1), ends[0], *middle, ends[1]]


def _stride(size):
    """A stride that leaves at most SORTED of `size` values and meets every channel alike: it shares no
    factor with the size."""
    stride = -(-size // SORTED)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride


def last_dump(run):
    """The iteration of the last dump of a gdlab.store Run; None where there is none."""
    rows = run.rows("dump/scalars") if "dump/scalars" in run.arrays else 0
    return int(run.array("dump/scalars", rows - 1)[0, 0]) if rows else None


def _layers_below(nodes):
    """For each node, the positions of the layers that it consists of."""
    below: list[list[int]] = [[] for _ in nodes]
    for i, node in enumerate(nodes):
        at = i if node["kind"] != "group" else -1
        while at >= 0:
            below[at].append(i)
            at = nodes[at]["parent"]
    return below


def _filters(nodes):
    return sum(node["filters"] for node in nodes if node["kind"] != "group")


def _positions(dataset, examples, seed):
    """Positions in the test part of what `sample` gives."""
    everything = {"y": np.arange(len(dataset.test["y"]))}
    return sample(dataset._replace(test=everything), "test", examples, seed)["y"]
