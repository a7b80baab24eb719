"""What a network loses without some of its filters: their weights set to zero, the classes looked at again.

The experts of DeepTracker did this by hand (Liu et al. 2018, sections 8.2 and 8.3).
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.messages import counted
from gdlab.monitors.evaluation import at_iteration, predicts_classes, sample
from gdlab.monitors.network import describe
from gdlab.monitors.validation import calibration, make_predictions
from gdlab.records import Table
from gdlab.training.collection import layers_of


def compute(replay, *, filters, iteration=None, on="test", samples=None, controls=3, seed=0, progress):
    """Error of every class with and without filters, at theta_k, and without as many others drawn at random.

    Args:
      replay: a gdlab Replay of a run whose problem predicts classes.
      filters: their positions among all filters of the network, as dumps number them. A filter is taken
        out by setting its kernel and its bias to zero.
      iteration: k, 0 to K; None: the last.
      on: "test" or "train";  samples: how many examples of it, null: all.
      controls: so many sets of other filters of the same layers are taken out for comparison, 0 to 20.
      seed: of the random sets.
      progress: (fraction, text) -> None.

    Returns:
      A Table: classes [C] names, examples [C]; error [C] with all filters, without [C] the chosen ones
      (shares in [0, 1]; NaN for a class without examples); control [controls, C]; flipped [C], examples
      whose label is another. attrs: iteration, on, filters, loss, loss_without, accuracy, accuracy_without,
      control_accuracy [controls] (list).

    Raises:
      ValueError: the problem predicts no classes, or an option is not allowed.
    """
    problem, dataset = replay.assembly.problem, replay.assembly.dataset
    if not predicts_classes(problem, dataset):
        raise ValueError("this run's problem predicts no classes: there is nothing to compare")
    if isinstance(controls, bool) or not isinstance(controls, int) or not 0 <= controls <= 20:
        raise ValueError(f"controls={controls!r}: allowed: 0 to 20")
    iteration = at_iteration(replay, iteration)
    data, params = sample(dataset, on, samples), replay.params(iteration)
    network = describe(problem, jax.eval_shape(lambda: params), dataset.train["x"][:1])
    chosen = _checked(filters, network)
    sets = [(), chosen, *_others(chosen, network, controls, np.random.default_rng(seed))]
    predict = replay.memo("ablation", lambda: make_predictions(problem))
    examples = calibration(problem, dataset, replay.version)
    found = []
    for i, removed in enumerate(sets):
        progress(i / len(sets), f"the network without {counted(len(removed), 'filter')}")
        found.append(predict(without(network, params, removed), data, examples))
    labels = np.asarray(data["y"])
    errors = [_error_rates(one.labels, labels, dataset.n_classes) for one in found]
    accuracy = [float((one.labels == labels).mean()) for one in found]
    moved = np.bincount(labels[found[0].labels != found[1].labels], minlength=dataset.n_classes)
    columns = {
        "classes": np.array(dataset.classes),
        "examples": np.bincount(labels, minlength=dataset.n_classes),
        "error": errors[0],
        "without": errors[1],
        "control": np.array(errors[2:]).reshape(len(errors) - 2, dataset.n_classes),
        "flipped": moved,
    }
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(columns, ("class",))
    dims["control"] = ("control", "class")
    attrs = {
        "iteration": iteration, "on": on, "filters": [int(f) for f in chosen],
        "loss": found[0].loss, "loss_without": found[1].loss,
        "accuracy": accuracy[0], "accuracy_without": accuracy[1], "control_accuracy": accuracy[2:],
    }  # fmt: skip
    return Table(columns, dims, attrs)


def without(network, params, filters):
    """The parameters with the kernels and biases of some filters at zero.

    Behind a filter of a layer without bias comes its normalisation's constant, if it has one.
    """
    kept = {}
    for node in network["nodes"]:
        mask = ~np.isin(np.arange(node["first"], node["first"] + node["filters"]), list(filters))
        if node["kind"] != "group" and not mask.all():
            kept[node["name"]] = mask
    layers = iter(layers_of(params))

    def masked(path, leaf):
        whole = jax.tree_util.keystr(path, simple=True, separator="/")
        mask = kept.get(next(layers), kept.get(whole))
        return leaf if mask is None else jnp.where(jnp.broadcast_to(mask, leaf.shape), leaf, 0)

    return jax.tree_util.tree_map_with_path(masked, params)


def _checked(filters, network):
    count = sum(node["filters"] for node in network["nodes"] if node["kind"] != "group")
    found = np.unique(np.asarray(filters if len(filters) else [], np.int64))
    if not len(found) or found[0] < 0 or found[-1] >= count:
        raise ValueError(f"filters={list(filters)[:8]!r}: allowed: one or more of 0 to {count - 1:,}")
    return found


def _others(chosen, network, controls, rng):
    """`controls` sets of filters, of every layer as many as are chosen there, as far as there are others."""
    sets = []
    for _ in range(controls):
        drawn: list[int] = []
        for node in network["nodes"]:
            if node["kind"] == "group":
                continue
            every = np.arange(node["first"], node["first"] + node["filters"])
            here = np.isin(every, chosen)
            others = rng.permutation(every[~here])
            drawn.extend(others[: int(here.sum())].tolist())
        sets.append(np.array(sorted(drawn), np.int64))
    return sets


def _error_rates(predicted, labels, classes):
    examples = np.bincount(labels, minlength=classes)
    wrong = np.bincount(labels[predicted != labels], minlength=classes)
    return np.divide(wrong, examples, out=np.full(classes, np.nan), where=examples > 0)
