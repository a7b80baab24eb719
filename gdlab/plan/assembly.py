"""From a run's config to everything its iterations need; the same for training, replay and probes.

What is built here must not depend on anything but the config, the data and the seed: a replay
assembles again and expects the same bits.
"""

import math
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.data.dataset import held_out
from gdlab.data.sampling import Schedule
from gdlab.plan.builder import BUILT, ConfigError, check_sections, instantiate, takes
from gdlab.plan.memory import check_room
from gdlab.plan.options import check_values
from gdlab.plan.soundness import check_data, parameters_of
from gdlab.plan.sources import dataset_of
from gdlab.records import Problem
from gdlab.training.collection import collector, layer_names
from gdlab.training.devices import mesh_of, on_all, precision
from gdlab.training.loop import Steps, make_training

CHUNK = 512  # largest number of iterations that one call of the training runs
PATH_LIMIT = 10_000  # parameters up to which every parameter vector is kept unless said otherwise


class Assembly(NamedTuple):
    """problem, optimizer; data: dict of [n, ...] device arrays or None; dataset: the host's Dataset or None;
    schedule: Schedule or None (no data to draw from); key: the run's random key; several_descents: bool;
    mesh: the devices that share each mini-batch, None for one."""

    problem: Any
    optimizer: Any
    data: Any
    dataset: Any
    schedule: Schedule | None
    key: Any
    several_descents: bool
    mesh: Any

    def steps(self, start, count, length):
        """Steps of iterations [start, start + count), zero-padded to `length`; descents, epochs [count]."""
        if self.schedule is None:
            iteration = np.arange(start, start + count)
            index, new_descent, descent, epoch = (
                None,
                iteration == 0,
                np.zeros(count, np.int32),
                np.zeros(count),
            )
        else:
            index, new_descent, descent, epoch = self.schedule.rows(start, start + count)
        padded = [None if rows is None else _pad(rows, length) for rows in (index, new_descent, descent)]
        return Steps(*padded), descent, epoch

    def lasting(self, steps):
        """The same for a run of another number of iterations."""
        several = self.schedule is not None and self.schedule.descents(steps) > 1
        return self._replace(several_descents=several)

    def reseeded(self, config):
        """The same with the data order and the key of another seed; config: of the run that has it."""
        schedule, _ = make_schedule(config, self.dataset)
        return self._replace(schedule=schedule, key=jax.random.key(config["seed"]))

    def batch(self, iteration):
        """The batch of an iteration: dict of arrays [b, ...], or None for a problem without data."""
        steps, _, _ = self.steps(iteration, 1, 1)
        if steps.index is None:
            return self.data
        return {name: array[steps.index[0]] for name, array in self.data.items()}

    def step_key(self, iteration, searches):
        """The random key that the error of an iteration is computed with; searches: by a line search."""
        number = int(self.steps(iteration, 1, 1)[0].descent[0]) if searches else iteration
        return jax.random.fold_in(self.key, number)


def assemble(config, places=None, *, training=False, problem=None):
    """Build what `config` describes.

    places: the `sources.Places` that a recorded run's data are read from; None: what the config says.
    training: on as many devices as the config says, where one who looks from `places` takes what there are.
    problem: what the run carries itself; the config's own problem, network and optimizer are not even looked
      at then, and the Assembly has no optimizer.

    Raises:
      ConfigError: an option, value or target that cannot be used.
      FileNotFoundError, ValueError: data that is missing or damaged, as its dataset says.
    """
    check_values(config)
    check_sections(config, BUILT if problem is None else ("dataset", "class_shares"))
    with precision(config["precision"]):
        return _assembled(config, places, places is not None and not training, problem)


def _assembled(config, places, fewer, carried=None):
    dataset = dataset_of(config, places)
    if dataset is not None:
        check_data(dataset)
        dataset = _without_held_out(dataset, config["train"].get("validation", 0.0))
    problem = make_problem(config, dataset) if carried is None else carried
    schedule, mesh = make_schedule(config, dataset, fewer)
    data = None
    if dataset is not None:
        data = {name: _on_device(array, config["precision"], mesh) for name, array in dataset.train.items()}
    optimizer = make_optimizer(config) if carried is None else None
    key = jax.random.key(config["seed"])
    check_room(jax.tree.leaves(parameters_of(problem, key)))
    made = Assembly(problem, optimizer, data, dataset, schedule, key, False, mesh)
    return made.lasting(config["train"]["steps"])


def training(assembly, config):
    """The Training of a run: one program for recording, resume and replay, since only the same program
    gives the same bits (XLA arranges its sums anew when as much as an output changes)."""
    return make_training(
        assembly.problem,
        assembly.optimizer,
        length=CHUNK,
        several_descents=assembly.several_descents,
        loss_end=config["record"]["loss_end"],
        reach=config["record"]["reach"],
        collect=collector(path=keeps_path(assembly, config), layers=keeps_layers(assembly, config)),
        mesh=assembly.mesh,
    )


def size(assembly):
    """p, the number of parameters."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(template(assembly)))


def template(assembly):
    """The parameters' shapes and dtypes."""
    return jax.eval_shape(assembly.problem.init, assembly.key)


def keeps_path(assembly, config):
    """Whether the run records every parameter vector."""
    wanted = config["record"]["path"]
    return size(assembly) <= PATH_LIMIT if wanted == "auto" else wanted


def keeps_layers(assembly, config):
    """Whether the run records the step of each layer: by default where there are several."""
    wanted = config["record"]["layers"]
    return len(layer_names(template(assembly))) > 1 if wanted == "auto" else wanted


def learning_rate(config):
    """(k) -> the learning rate of iteration k; NaN for optimizers without one."""
    rate = _rate(config)
    if rate is None:
        return lambda iteration: math.nan
    return lambda iteration: float(rate(iteration) if callable(rate) else rate)


def _without_held_out(dataset, share):
    """The dataset as trained on and evaluated: with `train.validation`, a share of it is evaluated."""
    try:
        return held_out(dataset, share) if share else dataset
    except ValueError as error:
        raise ConfigError(f"train.validation={share!r}: {error}") from error


def make_problem(config, dataset, numbers=MappingProxyType({})):
    """The problem with its network and data; `numbers` as of `make_optimizer`."""
    node, live = _split(config["problem"], "problem", numbers)
    if takes(node, "model"):
        if config.get("model") is None:
            raise ConfigError("this problem needs a network: give model=NAME (e.g. model=mlp)")
        live["model"] = instantiate(config["model"], "model")
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


def _rate(config, numbers=MappingProxyType({})):
    """The learning rate that the optimizer is given: a number, a function of k, None where it has none."""
    rate = numbers.get("optimizer.learning_rate", config["optimizer"].get("learning_rate"))
    if config.get("schedule") is None or rate is None:
        return rate
    node, live = _split(config["schedule"], "schedule", numbers)
    given = {"learning_rate": rate, "steps": config["train"]["steps"]}
    return instantiate(node, "schedule", **_taken(config["schedule"], given), **live)


def make_optimizer(config, numbers=MappingProxyType({})):
    """The optimizer, with the schedule of its learning rate and the weight decay that the config asks for.

    numbers: {"optimizer.momentum": value, ...} in place of the config's; JAX may be tracing them.
    """
    node, live = _split(_untraced(config), "optimizer", numbers)
    for group in ("schedule", "weight_decay"):
        if config.get(group) is not None and "learning_rate" not in config["optimizer"]:
            raise ConfigError(
                f"{group}: {node['_target_']} has no learning rate; use a method without a line search "
                f"(e.g. optimizer=sgd), or {group}=null"
            )
    if config.get("schedule") is not None:
        live["learning_rate"] = _rate(config, numbers)
        node = {key: value for key, value in node.items() if key != "learning_rate"}
    optimizer = instantiate(node, "optimizer", **live)
    if config.get("weight_decay") is None:
        return optimizer
    given = {"optimizer": optimizer, "learning_rate": live.get("learning_rate", node.get("learning_rate"))}
    node, live = _split(config["weight_decay"], "weight_decay", numbers)
    return instantiate(node, "weight_decay", **_taken(config["weight_decay"], given), **live)


def _split(node, section, numbers):
    """(`node` without the options that `numbers` has of its section, those options by name)."""
    live = {key.partition(".")[2]: value for key, value in numbers.items() if key.startswith(f"{section}.")}
    return {key: value for key, value in node.items() if key not in live}, live


def _taken(node, given):
    """Those of the `given` arguments that the target of `node` takes and the config does not say itself."""
    return {name: value for name, value in given.items() if takes(node, name) and name not in node}


def _untraced(config):
    """The optimizer's node; without record.trace its line search, where it has one, keeps none."""
    node = config["optimizer"]
    search = node.get("line_search")
    if config["record"]["trace"] or not isinstance(search, dict) or not takes(search, "keep_trace"):
        return node
    return {**node, "line_search": {**search, "keep_trace": False}}


def make_schedule(config, dataset, fewer=False):
    """(Schedule or None, the Mesh of devices that share its batches or None); fewer as of `mesh_of`."""
    train = config["train"]
    if dataset is not None and train["batches"] != 1 and train["batch_size"] is not None:
        raise ConfigError("train.batches and train.batch_size exclude each other: give one of them")
    try:
        shares = _class_shares(config, dataset)
        schedule = dataset and Schedule(
            len(next(iter(dataset.train.values()))),
            labels=dataset.train.get("y"),
            batches=None if train["batch_size"] is not None else train["batches"],
            batch_size=train["batch_size"],
            descent_length=train["descent_length"],
            seed=config["seed"],
            shares=shares,
            drop_last=train["drop_last"],
        )
        return schedule, mesh_of(train.get("devices", 1), schedule and schedule.batch_size, fewer)
    except ValueError as error:
        raise ConfigError(f"train: {error}") from error


def _class_shares(config, dataset):
    """Which part of each class's examples an epoch shows, [C]; None: all of them."""
    node = config.get("class_shares")
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


def _on_device(array, precision, mesh):
    array = np.asarray(array)
    array = jnp.asarray(array, precision if array.dtype.kind == "f" else None)
    return array if mesh is None else jax.device_put(array, on_all(mesh))


def _pad(rows, length):
    padded = np.zeros((length, *rows.shape[1:]), rows.dtype)
    padded[: len(rows)] = rows
    return padded
