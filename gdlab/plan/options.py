"""The values of a run's config that no target would check: counts, switches, times."""

from gdlab.plan.builder import ConfigError

PRECISIONS = ("float32", "float64")
RECORD_VERSIONS = (1, 2)
TRAIN_OPTIONS = ("steps", "batches", "batch_size", "descent_length")
REQUIRED = {
    "": ("problem", "optimizer", "precision", "seed", "data_dir", "train", "record"),
    "train": TRAIN_OPTIONS,
    "record": (
        *("path", "layers", "trace", "loss_end", "reach", "validate", "validate_examples"),
        *("dumps", "dump_examples", "correlations", "correlation_examples"),
        *("correlation_relu", "correlation_dense", "commit_seconds", "checkpoint_seconds", "sync"),
    ),
}


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
    _check_paths(config)
    if config["precision"] not in PRECISIONS:
        raise ConfigError(f"precision={config['precision']!r}: allowed: {', '.join(PRECISIONS)}")
    if not _is_integer(config["seed"]) or config["seed"] < 0:
        raise ConfigError(f"seed={config['seed']!r}: allowed: an integer >= 0, each")
    for name in TRAIN_OPTIONS:
        value = config["train"][name]
        if value is None and name != "steps":
            continue
        if not _is_integer(value) or value < 1:
            raise ConfigError(f"train.{name}={value!r}: allowed: an integer >= 1")
    _check_later(config)
    if not isinstance(config["train"]["drop_last"], bool):
        raise ConfigError(f"train.drop_last={config['train']['drop_last']!r}: allowed: true, false")
    _check_record(config)


def _check_record(config):
    """Refuse values of the section record."""
    for name in ("commit_seconds", "checkpoint_seconds"):
        value = config["record"][name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ConfigError(f"record.{name}={value!r}: allowed: seconds > 0")
    for name in ("trace", "loss_end", "correlation_relu", "correlation_dense", "sync"):
        if not isinstance(config["record"][name], bool):
            raise ConfigError(f"record.{name}={config['record'][name]!r}: allowed: true, false")
    for name in ("path", "layers"):
        value = config["record"][name]
        if value != "auto" and not isinstance(value, bool):
            raise ConfigError(f"record.{name}={value!r}: allowed: auto, true, false")
    for name in ("validate", "dumps", "correlations"):
        every = config["record"][name]
        if every is not False and every != "auto" and not (_is_integer(every) and every >= 1):
            raise ConfigError(f"record.{name}={every!r}: allowed: auto, false, an integer >= 1")
    for name in ("validate_examples", "dump_examples", "correlation_examples"):
        examples = config["record"][name]
        if examples is not None and not (_is_integer(examples) and examples >= 1):
            raise ConfigError(f"record.{name}={examples!r}: allowed: null (all), an integer >= 1")


def _check_paths(config):
    """Refuse folders of data and of earlier runs that are no text."""
    _check_path("data_dir", config["data_dir"])
    for section in ("schedule", "class_shares"):
        node = config.get(section)
        if isinstance(node, dict) and str(node.get("_target_", "gdlab.")).startswith("gdlab."):
            _check_path(f"{section}.path", node.get("path"))


def _check_path(place, value):
    if not isinstance(value, str | None):
        raise ConfigError(f"{place}={value!r}: allowed: a path, or null; in quotes where it is a number")


def _check_later(config):
    """Options that a config from before them lacks."""
    share = config["train"].get("validation", 0.0)
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise ConfigError(f"train.validation={share!r}: allowed: a share from 0 to below 1")
    carried = config["record"].get("functions", "auto")
    if carried != "auto" and not isinstance(carried, bool):
        raise ConfigError(f"record.functions={carried!r}: allowed: auto, true, false")
    version = config["record"].get("version", 1)
    if type(version) is not int or version not in RECORD_VERSIONS:
        raise ConfigError(f"record.version={version!r}: allowed: 1, 2")


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)
