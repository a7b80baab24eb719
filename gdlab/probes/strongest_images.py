"""Which images a filter responds to most, at several iterations: what it has learned to look for.

The response of a filter to an image is its largest activation over all positions, before the activation
function. What DeepTracker's experts asked to see of an anomaly's filters, before and after it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.monitors.evaluation import BLOCK, at_iteration, chosen_rows, predicts_classes, sample
from gdlab.monitors.network import describe
from gdlab.monitors.validation import calibration
from gdlab.records import Table

MOST_FILTERS, MOST_IMAGES, MOST_ITERATIONS = 32, 32, 8


def compute(replay, *, filters=(0,), iterations=(None,), count=6, on="test", samples=1000, progress):
    """The images to which some filters respond most strongly, at some iterations.

    Args:
      replay: a gdlab Replay of a run whose problem predicts classes and tells its activations.
      filters: 1 to 32 positions among all filters of the network, as dumps number them.
      iterations: 1 to 8 of k, 0 to K; None: the last.
      count: images per filter and iteration, 1 to 32.
      on: "test" or "train";  samples: how many examples of it are looked at, null: all.
      progress: (fraction, text) -> None.

    Returns:
      A Table: filter [f], layer [f] (names); response [i, f, count], falling; position [i, f, count] of the
      image in the data; picture [i, f, count], its place in `image` [n, ...], as the network sees it;
      label [n], the true class. attrs: iterations, on, examples, classes (names), picture (whether images
      have rows and columns).

    Raises:
      ValueError: the run has no such network, a filter's layer tells no activations, or an option is not
        allowed.
    """
    problem, dataset = replay.assembly.problem, replay.assembly.dataset
    if not predicts_classes(problem, dataset) or problem.activations is None:
        raise ValueError("this run has no network that classifies images and tells its activations")
    _check(filters, iterations, count)
    data, rows = sample(dataset, on, samples), chosen_rows(dataset, on, samples)
    count = min(count, len(rows))
    places = [at_iteration(replay, iteration) for iteration in iterations]
    examples = calibration(problem, dataset, replay.version)
    found = []
    for done, iteration in enumerate(places):
        progress(done / len(places), f"responses at iteration {iteration:,}")
        params = replay.params(iteration)
        chosen = _places(filters, describe(problem, jax.eval_shape(lambda p=params: p), data["x"][:1]))
        found.append(_responses(problem, examples, params, data["x"], chosen))
    responses = np.stack(found)  # [i, n, f]
    order = np.argsort(-responses, axis=1, kind="stable")[:, :count].transpose(0, 2, 1)
    seen, picture = np.unique(order, return_inverse=True)
    columns = {
        "filter": np.array(filters, np.int64),
        "layer": np.array([layer for layer, _ in chosen]),
        "response": np.take_along_axis(responses.transpose(0, 2, 1), order, axis=2),
        "position": rows[order],
        "picture": picture.reshape(order.shape),
        "image": np.asarray(data["x"][seen]),
        "label": np.asarray(data["y"])[seen],
    }
    ranked = ("iteration", "filter", "rank")
    dims: dict[str, tuple[str, ...]] = {"filter": ("filter",), "layer": ("filter",), "label": ("example",)}
    dims |= dict.fromkeys(("response", "position", "picture"), ranked)
    dims["image"] = ("example", *(f"axis_{i}" for i in range(columns["image"].ndim - 1)))
    attrs = {"iterations": places, "on": on, "examples": len(rows), "classes": list(dataset.classes)}
    return Table(columns, dims, attrs | {"picture": columns["image"].ndim == 4})


def _responses(problem, examples, params, images, chosen):
    """Largest activation of each chosen (layer, unit) for every image, float32 [n, f].

    examples: what batch normalisation is measured on; None for networks without it
    """
    statistics = (
        () if examples is None else (problem.statistics(params, jax.tree.map(jnp.asarray, examples)),)
    )
    told = jax.eval_shape(problem.activations, params, images[:1], *statistics)
    missing = sorted({layer for layer, _ in chosen} - set(told))
    if missing:
        raise ValueError(f"the network tells no activations of {', '.join(missing)}")

    @jax.jit
    def strongest(x):
        activations = problem.activations(params, x, *statistics)
        values = [activations[layer][..., unit].reshape(len(x), -1).max(axis=1) for layer, unit in chosen]
        return jnp.stack(values, axis=1)

    blocks = [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
    return np.concatenate([np.asarray(strongest(jnp.asarray(block))) for block in blocks])


def _places(filters, network):
    """[(name of the layer, unit in it)] of filters by their positions in the whole network."""
    layers = [node for node in network["nodes"] if node["kind"] != "group"]
    total = sum(node["filters"] for node in layers)
    found = []
    for position in filters:
        node = next((n for n in layers if n["first"] <= position < n["first"] + n["filters"]), None)
        if node is None:
            raise ValueError(f"filters: position {position!r}; allowed: 0 to {total - 1:,}")
        found.append((node["name"], int(position) - node["first"]))
    return found


def _check(filters, iterations, count):
    for name, value, most in (
        ("filters", filters, MOST_FILTERS),
        ("iterations", iterations, MOST_ITERATIONS),
    ):
        if not 1 <= len(value) <= most:
            raise ValueError(f"{name}: {len(value)} of them; allowed: 1 to {most}")
    if any(isinstance(f, bool) or not isinstance(f, int | np.integer) or f < 0 for f in filters):
        raise ValueError(f"filters={list(filters)[:8]!r}: allowed: positions from 0")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_IMAGES:
        raise ValueError(f"count={count!r}: allowed: 1 to {MOST_IMAGES}")
