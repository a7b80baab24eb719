"""How much the filters of a layer say the same: correlations of their activations on fixed test images.

Taken between chunks of the training by a program of its own, so that they change no bit of a run. All runs of
an ensemble are looked at with the same images, whatever their seeds. Hamid et al. 2019, section 4.2.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.monitors.evaluation import sample
from gdlab.monitors.network import describe
from gdlab.monitors.validation import calibration
from gdlab.store import ArraySpec

AUTO_COUNT = 20  # rows of a run with correlations=auto
MOST_FILTERS = 512  # of a layer; a matrix of more takes megabytes every time
STEP = "correlation/step"


class Correlations:
    """Takes the correlations of one run.

    problem, dataset   of the run; the dataset has a test set
    params             of the run, or their shapes
    examples           test images, the first of a permutation that is the same for every run; None: all
    relu               of the activations after a ReLU, instead of what the layer itself returns
    dense              of dense layers too
    version            of `gdlab.monitors.validation.calibration`

    Raises ValueError where the network has no layer whose filters can be compared.
    """

    def __init__(self, problem, dataset, params, *, examples, relu=False, dense=False, version):
        self.x = jnp.asarray(sample(dataset, "test", examples, seed=0)["x"])
        self.filters = filters_of(problem, params, self.x[:1], dense)
        if not self.filters:
            kinds = "convolutions or dense layers" if dense else "convolutions (dense layers: not asked for)"
            raise ValueError(f"the network has no {kinds} of 2 to {MOST_FILTERS} filters")
        self.calibration = calibration(problem, dataset, version)
        self.compute = jax.jit(make_correlations(problem, relu, dense))
        self._measured = jax.jit(problem.statistics or (lambda params, x: None))

    def specs(self):
        """{name: ArraySpec} of the arrays that a run folder needs; the first says at which iterations."""
        arrays = {STEP: ArraySpec("i8", ())}
        return arrays | {array_name(layer): ArraySpec("f4", (f, f)) for layer, f in self.filters.items()}

    def rows(self, params, step):
        """{name: rows [1, ...]} of the parameters after `step` iterations."""
        found = jax.device_get(self.compute(params, self.x, self.statistics(params)))
        rows = {STEP: np.array([step], np.int64)}
        return rows | {array_name(layer): np.asarray(r, np.float32)[None] for layer, r in found.items()}

    def statistics(self, params):
        """What batch normalisation measures on training examples; None for networks without it."""
        if self.calibration is None:
            return None
        return self._measured(params, jax.tree.map(jnp.asarray, self.calibration))


def make_correlations(problem, relu=False, dense=False):
    """(params, x [B, ...], statistics=None) -> {layer: r [F, F]}, signed, in network order; pure JAX.

    r is Pearson's correlation of the filters' activations over images and positions, in [-1, 1] and exactly
    1 on the diagonal; a filter that is constant correlates 0 with all, itself included. Activations that are
    not finite give NaN. Layers, relu and dense as in `Correlations`.
    """

    def correlations(params, x, statistics=None):
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
        layers = filters_of(problem, shapes, jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype), dense)
        activations = partial(problem.activations, params, x)
        found = activations() if statistics is None else activations(statistics)
        return {layer: pearson(jax.nn.relu(found[layer]) if relu else found[layer]) for layer in layers}

    return correlations


def pearson(values):
    """Correlations [F, F] of the last axis of values [..., F] over all others; constant ones 0."""
    rows = values.reshape(-1, values.shape[-1]).T
    constant = rows.max(axis=1) == rows.min(axis=1)
    centred = rows - rows.mean(axis=1, keepdims=True)
    # To the size of one first: near a divergence the squares would overflow.
    scaled = centred / jnp.where(constant, 1, jnp.abs(centred).max(axis=1))[:, None]
    length = jnp.sqrt((scaled * scaled).sum(axis=1))
    unit = jnp.where(constant, 0, 1 / jnp.where(constant, 1, length))[:, None] * scaled
    r = jnp.clip(jnp.matmul(unit, unit.T, precision="highest"), -1, 1)
    own = jnp.where(jnp.isfinite(length), jnp.where(constant, 0, 1), jnp.nan)
    return jnp.where(jnp.eye(len(r), dtype=bool), own[:, None].astype(r.dtype), r)


def filters_of(problem, params, example, dense=False):
    """{layer: F} of the layers that are compared, in network order: 2 to MOST_FILTERS filters each.

    params, example: or their shapes; example [1, ...].
    """
    if problem.activations is None:
        return {}
    kinds = ("conv", "dense") if dense else ("conv",)
    found = jax.eval_shape(problem.activations, params, example)
    nodes = [n for n in describe(problem, params, example)["nodes"] if n["kind"] in kinds]
    widths = {n["name"]: n["filters"] for n in nodes if n["name"] in found}
    return {layer: width for layer, width in widths.items() if 2 <= width <= MOST_FILTERS}


def array_name(layer):
    """The name of the array of a layer's correlations in the run folder."""
    return f"correlation/{layer}"
