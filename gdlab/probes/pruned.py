"""The network without some of its filters, by default its dead ones: smaller parameters to take away.

DeepTracker's experts asked for it: what never changes and never answers need not be kept or computed
(Liu et al. 2018, sections 7 and 8).
"""

import jax
import numpy as np

from gdlab.analysis import filters as analysis
from gdlab.analysis.dumps import open_dumps
from gdlab.messages import counted
from gdlab.models.pruning import narrowed, prune
from gdlab.monitors.evaluation import at_iteration, predicts_classes, sample
from gdlab.monitors.network import describe
from gdlab.monitors.validation import calibration, make_predictions
from gdlab.plan.builder import instantiate
from gdlab.records import Table


def compute(replay, *, filters=None, iteration=None, on="test", samples=None, progress):
    """The parameters without filters, what they are worth, and what they were.

    Args:
      replay: a gdlab Replay of a run whose problem classifies with a network.
      filters: their positions among all filters of the network, as dumps number them; None: the dead ones,
        of the run's dumps, by the rule of `gdlab.analysis.filters.dead_filters`.
      iteration: k, 0 to K; None: the last.
      on: "test" or "train";  samples: how many examples of it both are tried on, null: all.
      progress: (fraction, text) -> None.

    Returns:
      A Table: layer [L] (names), before, after [L] (filters), asked [L] (filters that were to go: more than
      before - after where some could not, see `gdlab.models.pruning.Pruned.kept`); and each leaf of the
      smaller parameters under its path ("conv1/kernel"). attrs: iteration, on, widths {layer: filters},
      parameters, parameters_before, loss, loss_before, accuracy, accuracy_before, relabelled (examples whose
      label is another), examples.

    Raises:
      ValueError: the run has no such network or no dumps, nothing is dead, or an option is not allowed.
    """
    problem, dataset = replay.assembly.problem, replay.assembly.dataset
    if not predicts_classes(problem, dataset) or replay.config.get("model") is None:
        raise ValueError("this run has no network that classifies: there is nothing to prune")
    iteration = at_iteration(replay, iteration)
    data, params = sample(dataset, on, samples), replay.params(iteration)
    example = dataset.train["x"][:1]
    nodes = describe(problem, jax.eval_shape(lambda: params), example)["nodes"]
    layers = {node["name"]: node for node in nodes if node["kind"] != "group"}
    chosen = _dead(replay.run) if filters is None else _checked(filters, layers.values())
    asked = {name: _within(node, chosen) for name, node in layers.items()}
    progress(0.1, "which weights listen to these filters")
    pruned = prune(instantiate(replay.config["model"], "model"), params, example, asked)
    found = []
    for what, theta in ((problem, params), (_narrow(problem, pruned.widths), pruned.params)):
        progress(0.3 + 0.3 * len(found), "without them" if found else "with all filters")
        found.append(make_predictions(what)(theta, data, calibration(problem, dataset, replay.version)))
    facts = {"iteration": iteration, "on": on, "widths": pruned.widths}
    return _table(
        layers, asked, pruned, facts | _compared(found, np.asarray(data["y"]), params, pruned.params)
    )


def _table(layers, asked, pruned, facts):
    columns = {
        "layer": np.array(list(layers)),
        "before": np.array([node["filters"] for node in layers.values()]),
        "after": np.array([pruned.widths.get(name, node["filters"]) for name, node in layers.items()]),
        "asked": np.array([len(asked[name]) for name in layers]),
    }
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(columns, ("layer",))
    for path, leaf in jax.tree_util.tree_leaves_with_path(pruned.params):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        columns[name] = np.asarray(leaf)
        dims[name] = tuple(f"{name}.{axis}" for axis in range(leaf.ndim))
    return Table(columns, dims, facts)


def _compared(found, labels, *trees):
    """What both networks are worth: the whole one is the first of each pair."""
    changed = found[0].labels != found[1].labels
    facts: dict[str, float] = {"examples": len(labels), "relabelled": int(changed.sum())}
    for end, one, params in zip(("_before", ""), found, trees, strict=True):
        facts[f"loss{end}"] = one.loss
        facts[f"accuracy{end}"] = float((one.labels == labels).mean())
        facts[f"parameters{end}"] = sum(leaf.size for leaf in jax.tree.leaves(params))
    return facts


def _narrow(problem, widths):
    """The problem of the smaller parameters."""

    def within(function):
        def smaller(*args, **kwargs):
            with narrowed(widths):
                return function(*args, **kwargs)

        return function and smaller

    return problem._replace(**{part: within(getattr(problem, part)) for part in ("predict", "statistics")})


def _dead(run):
    dumps = open_dumps(run)
    needed = ("gradient_mean", "gradient_std", "cosine_distance")
    missing = [stat for stat in needed if f"dump/filter/{stat}" not in run.arrays]
    if missing:
        raise ValueError(f"filters=None: the dumps have not recorded {', '.join(missing)}; name the filters")
    gradient = (dumps.filter("gradient_mean") != 0) | (dumps.filter("gradient_std") != 0)
    found = analysis.dead_filters(gradient, dumps.filter("cosine_distance"))
    if not len(found.columns["filter"]):
        raise ValueError(
            f"filters=None: none of {counted(found.attrs['filters'], 'filter')} is dead over the last "
            f"{found.attrs['least']} dumps: there is nothing to leave out"
        )
    return found.columns["filter"]


def _checked(filters, nodes):
    count = sum(node["filters"] for node in nodes)
    found = np.unique(np.asarray(filters if len(filters) else [], np.int64))
    if not len(found) or found[0] < 0 or found[-1] >= count:
        raise ValueError(
            f"filters={list(filters)[:8]!r}: allowed: one or more of 0 to {count - 1:,}, or null"
        )
    return found


def _within(node, filters):
    mine = filters[(filters >= node["first"]) & (filters < node["first"] + node["filters"])]
    return mine - node["first"]
