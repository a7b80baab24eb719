"""From a run's config to everything its iterations need; the same for training, replay and probes.

What is built here must not depend on anything but the config, the data and the seed: a replay
assembles again and expects the same bits.
"""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.collection import collector, layer_names
from gdlab.config import ConfigError, instantiate, takes
from gdlab.data.sampling import Schedule
from gdlab.dumps import AUTO_COUNT, Dumper
from gdlab.options import check_values
from gdlab.train import Steps, make_training
from gdlab.validation import Validation, can_validate, interval

CHUNK = 512  # largest number of iterations that one call of the training runs
PATH_LIMIT = 10_000  # parameters up to which every parameter vector is kept unless said otherwise
_NOT_VALIDATED = (
    "record.{name}={value!r}: this run cannot be validated: it needs a dataset with a test set and a problem "
    "that predicts its classes; use record.{name}=false"
)


class Assembly(NamedTuple):
    """problem, optimizer; data: dict of [n, ...] device arrays or None; dataset: the host's Dataset or None;
    schedule: Schedule or None (no data to draw from); key: the run's random key; several_descents: bool."""

    problem: Any
    optimizer: Any
    data: Any
    dataset: Any
    schedule: Schedule | None
    key: Any
    several_descents: bool

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


def assemble(config):
    """Build what `config` describes.

    Raises:
      ConfigError: an option, value or target that cannot be used.
      FileNotFoundError, ValueError: data that is missing or damaged, as its dataset says.
    """
    check_values(config)
    _set_up_jax(config["precision"])
    dataset = _dataset(config)
    problem = _problem(config, dataset)
    data = None
    schedule = None
    if dataset is not None:
        data = {name: _on_device(array, config["precision"]) for name, array in dataset.train.items()}
        schedule = _schedule(config, dataset)
    optimizer = _optimizer(config)
    several = schedule is not None and schedule.descents(config["train"]["steps"]) > 1
    return Assembly(problem, optimizer, data, dataset, schedule, jax.random.key(config["seed"]), several)


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
    )


def size(assembly):
    """p, the number of parameters."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(template(assembly)))


def template(assembly):
    """The parameters' shapes and dtypes."""
    return jax.eval_shape(assembly.problem.init, assembly.key)


def data_facts(assembly):
    """What the record's readers cannot know without loading the data."""
    schedule = assembly.schedule
    if schedule is None:
        return {}
    return {
        "examples": schedule.examples,
        "batch_size": schedule.batch_size,
        "classes": list(assembly.dataset.classes),
    }


def keeps_path(assembly, config):
    """Whether the run records every parameter vector."""
    wanted = config["record"]["path"]
    return size(assembly) <= PATH_LIMIT if wanted == "auto" else wanted


def keeps_layers(assembly, config):
    """Whether the run records the step of each layer: by default where there are several."""
    wanted = config["record"]["layers"]
    return len(layer_names(template(assembly))) > 1 if wanted == "auto" else wanted


def validation(assembly, config):
    """(Validation, iterations between its rows), or (None, None) where the run has none."""
    every = config["record"]["validate"]
    possible = every and can_validate(assembly.problem, assembly.dataset)
    if not possible:
        if every not in ("auto", False):
            raise ConfigError(_NOT_VALIDATED.format(name="validate", value=every))
        return None, None
    examples = config["record"]["validate_examples"]
    made = Validation(assembly.problem, assembly.dataset, examples=examples, seed=config["seed"])
    return made, interval(every, config["train"]["steps"])


def dumper(assembly, config):
    """(Dumper, iterations between its dumps), or (None, None) where the run has none.

    Raises:
      ConfigError: dumps are asked of a run that predicts no classes of a test set.
    """
    every = config["record"]["dumps"]
    if not every:
        return None, None
    if not can_validate(assembly.problem, assembly.dataset):
        raise ConfigError(_NOT_VALIDATED.format(name="dumps", value=every))
    from gdlab.network import describe

    record = config["record"]
    made = Dumper(
        assembly.problem,
        assembly.dataset,
        describe(assembly.problem, template(assembly), assembly.dataset.train["x"][:1]),
        examples=record["dump_examples"],
        train_examples=record["validate_examples"],
        seed=config["seed"],
        rate=learning_rate(config),
    )
    return made, interval(every, config["train"]["steps"], AUTO_COUNT)


def learning_rate(config):
    """(k) -> the learning rate of iteration k; NaN for optimizers without one."""
    rate = _rate(config)
    if rate is None:
        return lambda iteration: math.nan
    return lambda iteration: float(rate(iteration) if callable(rate) else rate)


def _set_up_jax(precision):
    jax.config.update("jax_enable_x64", precision == "float64")
    if jax.config.jax_compilation_cache_dir is None:
        default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "gdlab" / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(default.expanduser()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _dataset(config):
    node = config.get("dataset")
    if node is None:
        return None
    live = {"data_dir": config["data_dir"]} if takes(node, "data_dir") and "data_dir" not in node else {}
    return instantiate(node, "dataset", **live)


def _problem(config, dataset):
    node = config["problem"]
    live = {}
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
    return instantiate(node, "problem", **live)


def _rate(config):
    """The learning rate that the optimizer is given: a number, a function of k, None where it has none."""
    rate = config["optimizer"].get("learning_rate")
    if config.get("schedule") is None or rate is None:
        return rate
    given = {"learning_rate": rate, "steps": config["train"]["steps"]}
    return instantiate(config["schedule"], "schedule", **_taken(config["schedule"], given))


def _optimizer(config):
    """The optimizer, with the schedule of its learning rate and the weight decay that the config asks for."""
    node = _untraced(config)
    live = {}
    for group in ("schedule", "weight_decay"):
        if config.get(group) is not None and "learning_rate" not in node:
            raise ConfigError(
                f"{group}: {node['_target_']} has no learning rate; use a method without a line search "
                f"(e.g. optimizer=sgd), or {group}=null"
            )
    if config.get("schedule") is not None:
        live = {"learning_rate": _rate(config)}
        node = {key: value for key, value in node.items() if key != "learning_rate"}
    optimizer = instantiate(node, "optimizer", **live)
    if config.get("weight_decay") is None:
        return optimizer
    given = {"optimizer": optimizer, "learning_rate": live.get("learning_rate", node.get("learning_rate"))}
    return instantiate(config["weight_decay"], "weight_decay", **_taken(config["weight_decay"], given))


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


def _schedule(config, dataset):
    train = config["train"]
    if train["batches"] != 1 and train["batch_size"] is not None:
        raise ConfigError("train.batches and train.batch_size exclude each other: give one of them")
    try:
        return Schedule(
            len(next(iter(dataset.train.values()))),
            labels=dataset.train.get("y"),
            batches=None if train["batch_size"] is not None else train["batches"],
            batch_size=train["batch_size"],
            descent_length=train["descent_length"],
            seed=config["seed"],
        )
    except ValueError as error:
        raise ConfigError(f"train: {error}") from error


def _on_device(array, precision):
    array = np.asarray(array)
    return jnp.asarray(array, precision if array.dtype.kind == "f" else None)


def _pad(rows, length):
    padded = np.zeros((length, *rows.shape[1:]), rows.dtype)
    padded[: len(rows)] = rows
    return padded
