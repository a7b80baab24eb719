"""What every problem with a network needs: parameters, outputs, and what the layers say.

A network is any flax.linen module, or what `gdlab.problems.modules.adapted` makes of others, whose parameters
alone determine what it computes, so that a step can be replayed and parameters in between be looked at. Two
things would break that, and follow a convention in Linen modules:

Dropout   is on exactly when there is a key: `nn.Dropout(rate, deterministic=not self.has_rng("dropout"))`.
          A module that says `deterministic=not train` works too, as long as it has no batch normalisation.
Batch     normalisation keeps no running averages: `nn.BatchNorm(use_running_average=not train, momentum=0.0)`
          in a module with `__call__(self, x, train=False)`. It normalises by the batch at hand, or, where
          `statistics` are given, by those: what `batch_statistics` measured at the same parameters.
"""

import inspect
from functools import lru_cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from gdlab.problems.modules import Pure

BLOCK = 1000  # most examples whose statistics are taken in one pass


def initial_parameters(model, example):
    """Returns (key) -> params: the module's parameters for `example` [1, ...], in JAX's default float.

    They are drawn in float32, so that a run in float64 starts at the same point.
    Raises ValueError where the module has state other than parameters and the statistics of batches.
    """

    def init(key):
        example32 = jnp.asarray(example, None if _is_whole(example) else jnp.float32)
        if isinstance(model, Pure):
            return _in_default_float(model.init(key, example32))
        with nn.intercept_methods(partial(_refuse_running_averages, type(model).__name__)):
            variables = model.init(key, example32)
        others = sorted(set(variables) - {"params", "batch_stats"})
        if others:
            raise ValueError(
                f"{type(model).__name__} keeps state besides its parameters ({', '.join(others)}), "
                "which a pure loss cannot update; use a network without it"
            )
        if "batch_stats" in variables and not _takes_train(model):
            raise ValueError(
                f"{type(model).__name__} keeps statistics (batch_stats) that nothing can set: it needs "
                "`__call__(self, x, train=False)` and `nn.BatchNorm(use_running_average=not train, ...)`"
            )
        return _in_default_float(variables["params"])

    return init


def outputs(model, params, x, *, key=None, statistics=None):
    """The module's output for x [B, ...], computed in the parameters' dtype.

    key         of the dropout; None: no dropout
    statistics  of its batch normalisation, as `batch_statistics` returns them; None: those of x itself
    """
    return _apply(model, params, x, key, statistics)[0]


def layer_activations(model, params, x, statistics=None, dropout=False):
    """What every submodule returns for x [B, ...]: {"block/layer": [B, ...]}, before functions on it.

    dropout: of modules that drop out, too, which change nothing here and are no layers
    """

    def told(module, method):
        return method == "__call__" and (dropout or not isinstance(module, nn.Dropout))

    if isinstance(model, Pure):
        return {} if model.activations is None else model.activations(params, _cast(x, params), dropout)
    _, state = _apply(model, params, x, None, statistics, capture_intermediates=told)
    found = jax.tree_util.tree_leaves_with_path(
        state["intermediates"], is_leaf=lambda v: isinstance(v, tuple)
    )
    named = {"/".join(str(part.key) for part in path[:-1]): value[0] for path, value in found}
    return {name: value for name, value in named.items() if name and isinstance(value, jax.Array)}


def has_batch_norm(model, example):
    """Whether the module normalises by statistics of batches of examples like `example` [B, ...]."""
    if isinstance(model, Pure):
        return False
    collections = _collections if _is_hashable(model) else _collections.__wrapped__
    return "batch_stats" in collections(model, tuple(example.shape[1:]))


def batch_statistics(model, params, x):
    """Mean and variance that every batch normalisation measures on x [B, ...]: a pytree for `outputs`.

    Up to 1,000 examples are one batch: `outputs` with these statistics is what training computes on x.
    More are taken in n = ceil(B / 1000) equal blocks, each normalised by itself, and pooled: exact for the
    first normalisation, and, since a block's own statistics differ a little from the whole's, an estimate
    for those behind it. The last B mod n examples are left out.

    Source: Wu, Johnson 2021, Rethinking "Batch" in BatchNorm, section 3 (PreciseBN).
    """

    def one(block):
        return _apply(model, params, block, None, None)[1]["batch_stats"]

    count = -(-len(x) // BLOCK)
    if count <= 1:
        return one(x)
    size = len(x) // count
    blocks = x[: count * size].reshape(count, size, *x.shape[1:])
    return pooled_statistics(jax.lax.map(one, blocks))


def pooled_statistics(parts):
    """The statistics of n equally large blocks, [n, ...] each, as those of all their examples, [...].

    The mean is the mean of the means, the variance the mean of the variances plus the variance of the means.
    """
    if set(parts) == {"mean", "var"}:
        mean = parts["mean"].mean(axis=0)
        return {"mean": mean, "var": parts["var"].mean(axis=0) + parts["mean"].var(axis=0)}
    return {name: pooled_statistics(part) for name, part in parts.items()}


def dtype_of(params):
    """The dtype of the first array of `params`."""
    return jax.tree.leaves(params)[0].dtype


def _apply(model, params, x, key, statistics, capture_intermediates=False):
    """(output, collections written on the way)."""
    x = _cast(x, params)
    if isinstance(model, Pure):
        return model.apply(params, x, key), {}
    normalises = has_batch_norm(model, x)
    if statistics is not None and not normalises:
        raise ValueError(f"{type(model).__name__} has no batch normalisation: it takes no statistics")
    variables = {"params": params} if statistics is None else {"params": params, "batch_stats": statistics}
    measures = normalises and statistics is None
    return model.apply(
        variables,
        x,
        rngs=None if key is None else {"dropout": key},
        mutable=["batch_stats"] * measures + ["intermediates"] * bool(capture_intermediates),
        capture_intermediates=capture_intermediates,
        **({"train": measures or (key is not None and not normalises)} if _takes_train(model) else {}),
    )


def _cast(x, params):
    """x in the parameters' dtype; whole numbers, as tokens are, as they are."""
    return x if _is_whole(x) else x.astype(dtype_of(params))


def _is_whole(x):
    return jnp.issubdtype(x.dtype, jnp.integer)


def _in_default_float(params):
    return jax.tree.map(lambda leaf: leaf.astype(jnp.result_type(float)), params)


def _takes_train(model):
    return "train" in inspect.signature(type(model).__call__).parameters


@lru_cache(maxsize=64)
def _collections(model, shape):
    """The names of what the module's `init` makes for one example of `shape`; computes nothing."""
    example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return frozenset(jax.eval_shape(model.init, jax.random.key(0), example))


def _is_hashable(model):
    try:
        hash(model)
    except TypeError:
        return False
    return True


def _refuse_running_averages(name, call, args, kwargs, context):
    """A Flax interceptor: batch normalisation must forget, or its statistics are not those of the batch."""
    module = context.module
    if isinstance(module, nn.BatchNorm) and module.momentum != 0.0:
        raise ValueError(
            f"{name}: the batch normalisation {'/'.join(module.path)} (momentum = {module.momentum}) keeps "
            "running averages (batch_stats), which a pure loss cannot update; use momentum=0.0"
        )
    return call(*args, **kwargs)
