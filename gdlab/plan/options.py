"""From a run's config to its plan: the values that no target would check are checked, once."""

from dataclasses import fields
from typing import Any

from gdlab.plan.builder import BUILT, ConfigError
from gdlab.plan.sections import Plan, Recorded, Train

PRECISIONS = ("float32", "float64")
SEEDS = 1 << 63  # JAX takes no larger ones
RECORD_VERSIONS = (1, 2)
REQUIRED = ("problem", "optimizer", "precision", "seed", "data_dir", "train", "record")
# Options that a config from before them lacks, with what trainings then had.
LATER: dict[str, dict[str, Any]] = {
    "train": {"validation": 0.0, "devices": 1},
    "record": {"functions": "auto", "version": 1},
}
COUNTS = ("steps", "batches", "batch_size", "descent_length")


def plan_of(config) -> Plan:
    """The Plan that a plain config describes.

    Raises:
      ConfigError: an option of the top level, of `train` or of `record` is missing or has a value that
        is not allowed; names the option, its value and what is allowed.
    """
    _check_there("", config, REQUIRED)
    train, record = (_section(config, *named) for named in (("train", Train), ("record", Recorded)))
    nodes = {slot: config.get(slot) for slot in BUILT}
    named = {name: config[name] for name in ("precision", "seed", "data_dir")}
    plan = Plan(config=config, train=train, record=record, **named, **nodes)
    _check_paths(plan)
    if plan.precision not in PRECISIONS:
        raise ConfigError(f"precision={plan.precision!r}: allowed: {', '.join(PRECISIONS)}")
    if not _is_integer(plan.seed) or not 0 <= plan.seed < SEEDS:
        raise ConfigError(f"seed={plan.seed!r}: allowed: an integer >= 0, each, below {SEEDS}")
    _check_train(train)
    _check_record(record)
    return plan


def _section(config, place, kind):
    """A section of the plan, with what a config from before its later options meant."""
    names = [field.name for field in fields(kind)]
    _check_there(place, config[place], [name for name in names if name not in LATER[place]])
    given = LATER[place] | config[place]
    return kind(**{name: given[name] for name in names})


def _check_there(place, section, names):
    missing = [name for name in names if not isinstance(section, dict) or name not in section]
    if missing:
        raise ConfigError(
            f"{place or 'the config'} lacks {', '.join(missing)}; conf/config.yaml has them all"
        )


def _check_train(train):
    for name in COUNTS:
        value = getattr(train, name)
        if value is None and name != "steps":
            continue
        if not _is_integer(value) or value < 1:
            raise ConfigError(f"train.{name}={value!r}: allowed: an integer >= 1")
    share = train.validation
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise ConfigError(f"train.validation={share!r}: allowed: a share from 0 to below 1")
    if not isinstance(train.drop_last, bool):
        raise ConfigError(f"train.drop_last={train.drop_last!r}: allowed: true, false")


def _check_record(record):
    for name in ("commit_seconds", "checkpoint_seconds"):
        value = getattr(record, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ConfigError(f"record.{name}={value!r}: allowed: seconds > 0")
    for name in ("trace", "loss_end", "correlation_relu", "correlation_dense", "sync"):
        if not isinstance(value := getattr(record, name), bool):
            raise ConfigError(f"record.{name}={value!r}: allowed: true, false")
    for name in ("path", "layers", "functions"):
        value = getattr(record, name)
        if value != "auto" and not isinstance(value, bool):
            raise ConfigError(f"record.{name}={value!r}: allowed: auto, true, false")
    for name in ("validate", "dumps", "correlations"):
        every = getattr(record, name)
        if every is not False and every != "auto" and not (_is_integer(every) and every >= 1):
            raise ConfigError(f"record.{name}={every!r}: allowed: auto, false, an integer >= 1")
    for name in ("validate_examples", "dump_examples", "correlation_examples"):
        examples = getattr(record, name)
        if examples is not None and not (_is_integer(examples) and examples >= 1):
            raise ConfigError(f"record.{name}={examples!r}: allowed: null (all), an integer >= 1")
    if type(record.version) is not int or record.version not in RECORD_VERSIONS:
        raise ConfigError(f"record.version={record.version!r}: allowed: 1, 2")


def _check_paths(plan):
    """Refuse folders of data and of earlier runs that are no text."""
    _check_path("data_dir", plan.data_dir)
    for section in ("schedule", "class_shares"):
        node = getattr(plan, section)
        if isinstance(node, dict) and str(node.get("_target_", "gdlab.")).startswith("gdlab."):
            _check_path(f"{section}.path", node.get("path"))


def _check_path(place, value):
    if not isinstance(value, str | None):
        raise ConfigError(f"{place}={value!r}: allowed: a path, or null; in quotes where it is a number")


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)
