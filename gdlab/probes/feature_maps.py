"""What a network makes of one image, layer by layer, and which pixels its answer hangs on.

The saliency map is the gradient of a class's logit with respect to the image.
Source: Simonyan, Vedaldi, Zisserman 2014, section 3; Kuchta 2023, chapter 4.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.monitors.evaluation import at_iteration, predicts_classes, sample
from gdlab.monitors.validation import calibration
from gdlab.records import Table


def compute(replay, *, image=0, iteration=None, on="test", target=None, progress):
    """Feature maps and saliency of one image at theta_k.

    Args:
      replay: a gdlab Replay of a run whose problem predicts classes and tells its activations.
      image: position in the test set (on="test") or the training set ("train"), from 0.
      iteration: k, 0 to K; None: the last.
      target: the class whose logit the saliency is of, its position; None: the predicted one.
      progress: (fraction, text) -> None.

    Returns:
      A Table: "image" [H, W, C] as the network sees it; "saliency" [H, W], the largest |d logit / d pixel|
      over the channels, NaN where the network that a run carries has no derivative; "logits" [classes]; and
      per layer, by its name, the activations before the
      activation function: [H', W', filters] or [units]. attrs: iteration, image, on, label, predicted,
      target (positions of classes), classes, layers (names, sorted).

    Raises:
      ValueError: the run has no such network, or an option is not allowed.
    """
    problem, dataset = replay.assembly.problem, replay.assembly.dataset
    if not predicts_classes(problem, dataset) or problem.activations is None:
        raise ValueError("this run has no network that classifies images and tells its activations")
    data = sample(dataset, on, None)
    image = _position("image", image, len(data["y"]))
    if target is not None:
        target = _position("target", target, dataset.n_classes)
    iteration = at_iteration(replay, iteration)
    progress(0.0, f"image {image:,} at iteration {iteration:,}")
    params = replay.params(iteration)
    x = jnp.asarray(data["x"][image : image + 1])
    statistics = _statistics(problem, params, calibration(problem, dataset, replay.version))
    logits = np.asarray(_predict(problem, params, x, statistics))[0]
    predicted = int(np.argmax(logits))
    target = predicted if target is None else target
    slope = _slope(lambda v: _predict(problem, params, v, statistics)[0, target], x)
    activations = _activations(problem, params, x, statistics)
    columns = {"image": np.asarray(x[0]), "logits": logits}
    columns["saliency"] = slope.max(axis=-1) if slope.ndim == 3 else slope
    dims = {"image": ("row", "column", "channel")[: x.ndim - 1], "logits": ("class",)}
    dims["saliency"] = ("row", "column")[: columns["saliency"].ndim]
    for name, array in activations.items():
        columns[name] = np.asarray(array[0])
        dims[name] = tuple(f"{name}_{axis}" for axis in range(columns[name].ndim))
    attrs = {"iteration": iteration, "image": image, "on": on, "label": int(data["y"][image])}
    attrs |= {"predicted": predicted, "target": target, "classes": list(dataset.classes)}
    return Table(columns, dims, attrs | {"layers": list(activations)})


def _slope(logit, x):
    """|d logit / d pixel| of one image [1, ...]; NaN where a run carries its network without derivatives."""
    try:
        return np.abs(np.asarray(jax.grad(logit)(x)[0]))
    except ValueError:
        return np.full(x.shape[1:], np.nan)


def _statistics(problem, params, examples):
    return None if examples is None else problem.statistics(params, jax.tree.map(jnp.asarray, examples))


def _predict(problem, params, x, statistics):
    return problem.predict(params, x) if statistics is None else problem.predict(params, x, statistics)


def _activations(problem, params, x, statistics):
    if statistics is None:
        return problem.activations(params, x)
    return problem.activations(params, x, statistics)


def _position(name, value, count):
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value < count:
        raise ValueError(f"{name}={value!r}: allowed: 0 to {count - 1:,}")
    return int(value)
