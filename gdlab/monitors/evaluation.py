"""The error and the accuracy of given parameters on a fixed sample of the data, in blocks.

What probes ask of a model: no key, hence no dropout and no augmentation; batch normalisation takes the
statistics of each block, so that parameters nobody trained (on a line, on a surface) have their own.
"""

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 1000  # examples evaluated at once
PARTS = ("train", "test")


def sample(dataset, on, examples, seed=0):
    """{"x": [n, ...], "y": [n]}: `examples` of the part `on`, always the same ones; None: all of them.

    The first of a seeded permutation, in the data's order. Raises ValueError for a part that is not there.
    """
    if on not in PARTS:
        raise ValueError(f"on={on!r}: allowed: {', '.join(PARTS)}")
    if examples is not None and (
        isinstance(examples, bool) or not isinstance(examples, int | np.integer) or examples < 1
    ):
        raise ValueError(f"samples={examples!r}: allowed: null (all), an integer >= 1")
    part = getattr(dataset, on)
    if part is None:
        raise ValueError(f"on={on!r}: {dataset.name} has no test set; use on=train")
    n = len(next(iter(part.values())))
    if examples is None or examples >= n:
        return part
    chosen = chosen_rows(dataset, on, examples, seed)
    return {name: array[chosen] for name, array in part.items()}


def chosen_rows(dataset, on, examples, seed=0):
    """The rows of a part that `sample` takes, ascending."""
    n = len(next(iter(getattr(dataset, on).values())))
    if examples is None or examples >= n:
        return np.arange(n)
    return np.sort(np.random.default_rng((seed, PARTS.index(on))).permutation(n)[:examples])


def at_iteration(replay, iteration):
    """The iteration k asked for, None meaning the last one; ValueError where it is not recorded."""
    last = replay.run.rows("scalars")
    if iteration is None:
        return last
    if (
        isinstance(iteration, bool)
        or not isinstance(iteration, int | np.integer)
        or not 0 <= iteration <= last
    ):
        raise ValueError(f"iteration={iteration!r}: allowed: 0 to {last:,}")
    return int(iteration)


def predicts_classes(problem, dataset):
    """Whether the problem gives logits for each class of a labelled dataset."""
    if dataset is None or problem.predict is None or "y" not in dataset.train or dataset.n_classes < 2:
        return False
    if problem.measures is not None:  # what it predicts are no logits, whatever their number
        return False
    params = jax.eval_shape(problem.init, jax.random.key(0))
    example = jax.ShapeDtypeStruct((1, *dataset.train["x"].shape[1:]), jnp.float32)
    return jax.eval_shape(problem.predict, params, example).shape == (1, dataset.n_classes)


def make_error(problem, data, *, classes):
    """(params) -> (error, accuracy), compiled once: mean of problem.loss over `data`, share of right labels.

    data      what `sample` gives, or None for a problem without data
    classes   whether the problem predicts classes; else the accuracy is NaN
    """
    # Counts leave the program and shares are taken in float64: in float32 0.9 would read 0.89999998.
    measure = jax.jit(lambda params, block: _measured(problem, params, block, classes))
    blocks = [(1, None)] if data is None else _blocks(data, problem.additive)
    weights = np.array([size for size, _ in blocks], np.float64)

    def error(params):
        results = [measure(params, block) for _, block in blocks]
        values = np.array([[float(loss), float(right)] for loss, right in results])
        loss, right = weights @ values[:, 0], values[:, 1].sum()
        return float(loss / weights.sum()), float(right / weights.sum())

    return error


def _measured(problem, params, block, classes):
    loss = problem.loss(params, block, key=None)
    if not classes or block is None:
        return loss, jnp.full((), jnp.nan)
    return loss, (problem.predict(params, block["x"]).argmax(axis=1) == block["y"]).sum()


def _blocks(data, additive):
    """[(size, block)] in the data's order; all of it at once where the errors of blocks do not add up."""
    n = len(next(iter(data.values())))
    size = BLOCK if additive else n
    return [
        (min(size, n - start), {k: jnp.asarray(a[start : start + size]) for k, a in data.items()})
        for start in range(0, n, size)
    ]
