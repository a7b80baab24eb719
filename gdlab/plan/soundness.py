"""What a training needs of its problem, asked before anything is written.

What would otherwise fail within a compiled loop, in words of its own and beside a folder that was just made.
"""

import math

import jax
import numpy as np

from gdlab.data.dataset import Dataset
from gdlab.messages import described
from gdlab.plan.builder import ConfigError
from gdlab.store.spec import valid_name


def parameters_of(problem, key):
    """The parameters' shapes and dtypes; raises ConfigError where the problem cannot make them."""
    try:
        return jax.eval_shape(problem.init, key)
    except ConfigError:
        raise
    except Exception as error:
        cannot = "" if isinstance(error, ValueError) else "problem: its parameters cannot be made: "
        raise ConfigError(f"{cannot}{described(error)}") from error


def check_problem(assembly):
    """Refuse a problem whose parameters cannot be trained or whose error is no number; raises ConfigError."""
    parameters = jax.eval_shape(assembly.problem.init, assembly.key)
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    if not leaves:
        raise ConfigError("problem: it has no parameters; init(key) has to return at least one array")
    for path, leaf in leaves:
        if np.dtype(leaf.dtype).kind != "f":
            raise ConfigError(
                f"problem: the parameter {jax.tree_util.keystr(path) or 'array'} is {leaf.dtype}; a descent "
                "needs float32, or float64 with precision=float64: init(key) has to return such arrays"
            )
    batch, key = assembly.batch(0), assembly.key
    error = jax.eval_shape(lambda params: assembly.problem.loss(params, batch, key=key), parameters)
    shape, dtype = getattr(error, "shape", None), getattr(error, "dtype", None)
    if shape != () or np.dtype(dtype).kind != "f":
        found = type(error).__name__ if shape is None else f"an array of shape {shape} and type {dtype}"
        raise ConfigError(
            f"problem: its error is {found}; loss(params, batch, key=None) has to return one number, shape ()"
        )


def terms_of(assembly):
    """Names of the terms that the error is made of; raises ConfigError where they are no numbers."""
    problem, batch, key = assembly.problem, assembly.batch(0), assembly.key
    if problem.terms is None:
        return ()
    params = jax.eval_shape(problem.init, key)
    found = jax.eval_shape(lambda params: problem.terms(params, batch, key=key), params)
    for name, value in found.items() if isinstance(found, dict) else ():
        if not valid_name(f"metric/{name}") or getattr(value, "shape", None) != ():
            break
    else:
        if isinstance(found, dict):
            return tuple(found)
    raise ConfigError(
        "problem: terms(params, batch, key=None) has to return {name: number}, names of letters, digits and _"
    )


def check_start(training, state, assembly):
    """Refuse a start whose error is not finite; raises ConfigError."""
    error = refused_start(float(training.value(state.params, assembly.batch(0), assembly.key)))
    if error is not None:
        raise error


def refused_start(value):
    """The ConfigError of a start whose error is `value`; None where it is finite."""
    if math.isfinite(value):
        return None
    return ConfigError(
        f"problem: the error at the start is {value}, not finite; choose another start or seed"
    )


def check_compiles(training, state, assembly):
    """Refuse options with which the training cannot be compiled; raises ConfigError.

    JAX keeps what it traces here, so that the first chunk need not be traced again.
    """
    steps, _, _ = assembly.steps(0, 1, training.length)
    try:
        jax.eval_shape(training.chunk, state, assembly.data, assembly.key, steps, 1)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"a training with these options cannot be compiled: {described(error)}") from error


def check_looked_at(assembly, made):
    """The Training that `made()` returns for a recorded run, whose config may be anybody's.

    Raises ConfigError where it describes nothing that can be computed.
    """
    try:
        check_problem(assembly)
        training = made()
        jax.eval_shape(training.init, assembly.key, assembly.data)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"what the config of this run describes cannot be computed: {described(error)}"
        ) from error
    return training


def check_data(dataset):
    """Refuse data that are not one label for each example and inputs to multiply; raises ConfigError."""
    if not isinstance(dataset, Dataset):
        raise ConfigError(f"dataset: it is a {type(dataset).__name__}, not a gdlab.data.Dataset")
    for part in ("train", "test"):
        arrays = getattr(dataset, part) or {}
        lengths = {name: len(array) for name, array in arrays.items()}
        if len({*lengths.values()}) > 1:
            raise ConfigError(f"dataset: {part} has arrays of different lengths: {lengths}")
        if dataset.classes and {"x", "y"} <= arrays.keys():
            x, y = (np.asarray(arrays[name]) for name in "xy")
            _check_classes(part, x, y, len(dataset.classes))


def _check_classes(part, x, y, classes):
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ConfigError(
            f"dataset: the labels {part}['y'] have shape {y.shape} and type {y.dtype}; with classes they are "
            "one whole number for each example, shape (n,)"
        )
    if len(y) and not 0 <= y.min() <= y.max() < classes:
        raise ConfigError(
            f"dataset: the labels {part}['y'] go from {y.min()} to {y.max()}; for {classes} classes "
            f"0 to {classes - 1} are needed"
        )
    if x.dtype.kind != "f":
        raise ConfigError(
            f"dataset: the inputs {part}['x'] are {x.dtype}; networks take float32: x.astype('float32')"
        )
