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
from jax.flatten_util import ravel_pytree

from gdlab.config import ConfigError, instantiate, takes
from gdlab.data.sampling import Schedule
from gdlab.train import Steps, make_training

CHUNK = 512  # largest number of iterations that one call of the training runs
PATH_LIMIT = 10_000  # parameters up to which every parameter vector is kept unless said otherwise
PRECISIONS = ("float32", "float64")
TRAIN_OPTIONS = ("steps", "batches", "batch_size", "descent_length")
REQUIRED = {
    "": ("problem", "optimizer", "precision", "seed", "data_dir", "train", "record"),
    "train": TRAIN_OPTIONS,
    "record": ("path", "trace", "loss_end", "reach", "commit_seconds", "checkpoint_seconds", "sync"),
}


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
    optimizer = instantiate(_optimizer(config), "optimizer")
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
        collect=_flat if keeps_path(assembly, config) else None,
    )


def size(assembly):
    """p, the number of parameters."""
    template = jax.eval_shape(assembly.problem.init, assembly.key)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(template))


def keeps_path(assembly, config):
    """Whether the run records every parameter vector."""
    wanted = config["record"]["path"]
    return size(assembly) <= PATH_LIMIT if wanted == "auto" else wanted


def check_values(config):
    """Refuse values of the top level that no target would check.

    Raises:
      ConfigError: names the option, its value and what is allowed.
    """
    for place, names in REQUIRED.items():
        section = config if not place else config.get(place)
        missing = [name for name in names if not isinstance(section, dict) or name not in section]
        if missing:
            raise ConfigError(
                f"{place or 'the config'} lacks {', '.join(missing)}; conf/config.yaml has them all"
            )
    if config["precision"] not in PRECISIONS:
        raise ConfigError(f"precision={config['precision']!r}: allowed: {', '.join(PRECISIONS)}")
    if not _is_integer(config["seed"]) or config["seed"] < 0:
        raise ConfigError(f"seed={config['seed']!r}: allowed: an integer >= 0")
    for name in TRAIN_OPTIONS:
        value = config["train"][name]
        if value is None and name != "steps":
            continue
        if not _is_integer(value) or value < 1:
            raise ConfigError(f"train.{name}={value!r}: allowed: an integer >= 1")
    for name in ("commit_seconds", "checkpoint_seconds"):
        value = config["record"][name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ConfigError(f"record.{name}={value!r}: allowed: seconds > 0")
    for name in ("trace", "loss_end", "sync"):
        if not isinstance(config["record"][name], bool):
            raise ConfigError(f"record.{name}={config['record'][name]!r}: allowed: true, false")
    if config["record"]["path"] not in ("auto", True, False):
        raise ConfigError(f"record.path={config['record']['path']!r}: allowed: auto, true, false")


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


def _optimizer(config):
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


def _flat(before, updates, after):
    del before, updates
    return ravel_pytree(after)[0]


def _on_device(array, precision):
    array = np.asarray(array)
    return jnp.asarray(array, precision if array.dtype.kind == "f" else None)


def _pad(rows, length):
    padded = np.zeros((length, *rows.shape[1:]), rows.dtype)
    padded[: len(rows)] = rows
    return padded


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)
