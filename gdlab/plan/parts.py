"""The parts of a training that its plan names: problem, optimizer, learning rate, order of the data."""

import math
from types import MappingProxyType

from gdlab.data.dataset import labels_of
from gdlab.data.sampling import Schedule
from gdlab.plan.builder import ConfigError, instantiate, takes
from gdlab.records import Problem
from gdlab.training.devices import mesh_of


def make_problem(plan, dataset, numbers=MappingProxyType({})):
    """The problem with its network and data; `numbers` as of `make_optimizer`."""
    node, live = _split(plan.problem, "problem", numbers)
    if takes(node, "model"):
        if plan.model is None:
            raise ConfigError("this problem needs a network: give model=NAME (e.g. model=mlp)")
        live["model"] = instantiate(plan.model, "model")
    if takes(node, "data"):
        if dataset is None:
            raise ConfigError("this problem needs data: give dataset=NAME (e.g. dataset=digits)")
        live["data"] = dataset
    elif dataset is not None:
        raise ConfigError(
            f"problem {node['_target_']} takes no data, but a dataset is given; use dataset=null"
        )
    problem = instantiate(node, "problem", **live)
    if not isinstance(problem, Problem):
        raise ConfigError(
            f"problem: {node['_target_']} returned a {type(problem).__name__}, not a gdlab Problem; "
            "gdlab.problems.from_function makes one of an error function"
        )
    return problem


def _rate(plan, numbers=MappingProxyType({})):
    """The learning rate that the optimizer is given: a number, a function of k, None where it has none."""
    rate = numbers.get("optimizer.learning_rate", plan.optimizer.get("learning_rate"))
    if plan.schedule is None or rate is None:
        return rate
    node, live = _split(plan.schedule, "schedule", numbers)
    given = {"learning_rate": rate, "steps": plan.train.steps}
    return instantiate(node, "schedule", **_taken(plan.schedule, given), **live)


def make_optimizer(plan, numbers=MappingProxyType({})):
    """The optimizer, with the schedule of its learning rate and the weight decay that the plan asks for.

    numbers: {"optimizer.momentum": value, ...} in place of the plan's; JAX may be tracing them.
    """
    node, live = _split(_untraced(plan), "optimizer", numbers)
    for group in ("schedule", "weight_decay"):
        if getattr(plan, group) is not None and "learning_rate" not in plan.optimizer:
            raise ConfigError(
                f"{group}: {node['_target_']} has no learning rate; use a method without a line search "
                f"(e.g. optimizer=sgd), or {group}=null"
            )
    if plan.schedule is not None:
        live["learning_rate"] = _rate(plan, numbers)
        node = {key: value for key, value in node.items() if key != "learning_rate"}
    optimizer = instantiate(node, "optimizer", **live)
    if plan.weight_decay is None:
        return optimizer
    given = {"optimizer": optimizer, "learning_rate": live.get("learning_rate", node.get("learning_rate"))}
    node, live = _split(plan.weight_decay, "weight_decay", numbers)
    return instantiate(node, "weight_decay", **_taken(plan.weight_decay, given), **live)


def _split(node, section, numbers):
    """(`node` without the options that `numbers` has of its section, those options by name)."""
    live = {key.partition(".")[2]: value for key, value in numbers.items() if key.startswith(f"{section}.")}
    return {key: value for key, value in node.items() if key not in live}, live


def _taken(node, given):
    """Those of the `given` arguments that the target of `node` takes and the config does not say itself."""
    return {name: value for name, value in given.items() if takes(node, name) and name not in node}


def _untraced(plan):
    """The optimizer's node; without record.trace its line search, where it has one, keeps none."""
    node = plan.optimizer
    search = node.get("line_search")
    if plan.record.trace or not isinstance(search, dict) or not takes(search, "keep_trace"):
        return node
    return {**node, "line_search": {**search, "keep_trace": False}}


def make_schedule(plan, dataset, fewer=False):
    """(Schedule or None, the Mesh of devices that share its batches or None); fewer as of `mesh_of`."""
    train = plan.train
    if dataset is not None and train.batches != 1 and train.batch_size is not None:
        raise ConfigError("train.batches and train.batch_size exclude each other: give one of them")
    try:
        shares = _class_shares(plan, dataset)
        schedule = dataset and Schedule(
            len(next(iter(dataset.train.values()))),
            labels=labels_of(dataset),
            batches=None if train.batch_size is not None else train.batches,
            batch_size=train.batch_size,
            descent_length=train.descent_length,
            seed=plan.seed,
            shares=shares,
            drop_last=train.drop_last,
        )
        return schedule, mesh_of(train.devices, schedule and schedule.batch_size, fewer)
    except ValueError as error:
        raise ConfigError(f"train: {error}") from error


def _class_shares(plan, dataset):
    """Which part of each class's examples an epoch shows, [C]; None: all of them."""
    node = plan.class_shares
    if node is None:
        return None
    if dataset is None or "y" not in dataset.train:
        raise ConfigError(
            "class_shares: there are no classes; give a dataset with labels, or class_shares=null"
        )
    classes, shares = instantiate(node, "class_shares")
    if classes != tuple(dataset.classes or ()):
        raise ConfigError(
            f"class_shares: the earlier run has the classes {', '.join(classes)}, this dataset "
            f"{', '.join(dataset.classes or ()) or 'none'}; both must be of the same data"
        )
    return shares


def learning_rate(plan):
    """(k) -> the learning rate of iteration k; NaN for optimizers without one."""
    rate = _rate(plan)
    if rate is None:
        return lambda iteration: math.nan
    return lambda iteration: float(rate(iteration) if callable(rate) else rate)
