"""From a sweep's overrides to the configs and folders of its runs, composed once and not once per run.

Hydra composes a config twice for every job of a sweep, a tenth of a second each time. Jobs that differ in
values alone share one composition, into which their values are put as Hydra puts them.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import Container, OmegaConf, open_dict

from gdlab.commands import hydras, probe_task
from gdlab.plan.builder import ConfigError
from gdlab.plan.targets import short
from gdlab.store.config import training_keys
from gdlab.store.migrations import LATER

EACH = "each"  # as a seed: one for each setting


class Job(NamedTuple):
    """One run of a sweep: its overrides, the plain config, its folder."""

    overrides: tuple
    config: dict
    folder: Path


def grid(parameters, overrides):
    """The overrides of every job, as Hydra's own sweeper makes them: [["a=1", "b=2"], ...].

    parameters: `hydra.sweeper.params`; overrides: texts of the command line, of which later ones win.
    """
    texts = [f"{key}={value}" for key, value in (parameters or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*texts, *overrides])
    return hydras.jobs(parsed)


def jobs_of(loader: ConfigLoader, master: Any, overrides: Any) -> list[Job]:
    """The Job of each list of overrides.

    loader, master: Hydra's, of the command; master holds at least the node `hydra`.
    """
    groups = loader.list_groups("")
    parser = OverridesParser.create(config_loader=loader)
    shared: dict[tuple, Any] = {}
    jobs = []
    for texts in overrides:
        parsed = parser.parse_overrides(list(texts))
        values = {o.key_or_group: o for o in parsed if _is_value(o, groups)}
        others = (*(o.input_line for o in parsed if o.key_or_group not in values), *sorted(values))
        if others not in shared:
            shared[others] = loader.load_sweep_config(master, list(texts))
        config = shared[others]
        for key, override in values.items():
            OmegaConf.update(config, key, override.value())
        with open_dict(config.hydra.job):
            config.hydra.job.override_dirname = _dirname(parsed, config.hydra.job.config.override_dirname)
            config.hydra.overrides.task = [o.input_line for o in parsed if not o.is_hydra_override()]
        folder = Path(config.hydra.sweep.dir) / config.hydra.sweep.subdir
        jobs.append(Job(tuple(texts), plain(config), folder.absolute()))
    return jobs


def plain(config):
    """A composed config as plain values, without Hydra's own."""
    values = {key: config[key] for key in config if key != "hydra"}
    found = {
        key: OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value
        for key, value in values.items()
    }
    # The choice that is none may have got options of an experiment that counts on another.
    found |= {key: None for key, value in found.items() if isinstance(value, dict) and "_none_" in value}
    if "name" in found:  # of letters alone, whatever YAML takes it for
        named = found["name"]
        if named is None or not str(named).strip():
            raise ConfigError(f"name={short(named)}: allowed: a name, e.g. name=mine; or leave it out")
        found["name"] = str(named).lower() if isinstance(named, bool) else str(named)
    if found.get("seed") == EACH:
        found["seed"] = seed_of(found)
    return with_absolute_paths(found)


def seed_of(config):
    """The seed of a setting: the same whenever and by whatever it is trained, another for another setting."""
    later = {one.path for one in LATER}
    kept = {
        key: value
        for key, value in training_keys(config).items()
        if key not in later and not key.startswith(("record.", "seed", "version"))
    }
    return int(sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:8], 16) >> 1


def with_absolute_paths(config):
    """A path to an earlier run must hold wherever this run is replayed from."""
    for section in ("schedule", "class_shares"):
        node = config.get(section) or {}
        if isinstance(node.get("path"), str) and node["path"]:  # anything else is refused later
            node["path"] = str(Path(node["path"]).absolute())
    return config


def train_jobs(jobs, width=None):
    """Train the jobs together and ask the probes of their configs; an Outcome of each, in order.

    Raises ConfigError for a config that is not of a training.
    """
    from gdlab import ensemble

    for job in jobs:
        if job.config["task"] not in ("train", "ensemble"):
            raise ConfigError(f"task={job.config['task']}: only trainings can be run together")
        probe_task.check_probes(job.config["probes"])
    configs = [{**job.config, "task": "train"} for job in jobs]
    outcomes = ensemble.train(configs, [job.folder for job in jobs], width=width)
    for job, outcome in zip(jobs, outcomes, strict=True):
        if outcome.state == "finished":
            probe_task.run_probes(job.config["probes"], job.folder, config=job.config)
    return outcomes


def _is_value(override, groups):
    """Whether an override only puts a value where one is, which needs no new composition."""
    plainly = not (override.is_add() or override.is_delete() or override.is_hydra_override())
    return plainly and override.key_or_group not in groups and not isinstance(override.value(), dict | list)


def _dirname(overrides, options):
    """What Hydra calls `hydra.job.override_dirname`."""
    kept = [o for o in overrides if not o.is_hydra_override() and o.key_or_group not in options.exclude_keys]
    lines = sorted(override.input_line for override in kept)
    return options.item_sep.join(lines).replace("=", options.kv_sep)
