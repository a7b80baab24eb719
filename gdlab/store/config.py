"""The configuration of a run decides whether its folder may be continued.

Two configurations are the same run when they agree in every key that can alter the training.
Comparison is by flat keys ("optimizer.sigma"), so a mismatch can be named; the file on disk is
plain YAML without tags or aliases, which is all that is ever read back.
"""

import hashlib
import json
import os

from gdlab.store import migrations
from gdlab.store.errors import DamagedRun, NewerSchema
from gdlab.store.files import read_small, stays_inside

# Keys that say where things lie or how much is shown, not what is computed.
IGNORED_KEYS = (
    *("data_dir", "runs", "hydra", "task", "run", "output", "probe", "probes", "progress", "verbose"),
    "accept_difference",
    *("record.commit_seconds", "record.checkpoint_seconds", "record.sync", "record.functions", "version"),
)
CONFIG_FILE = os.path.join(".hydra", "config.yaml")
_MAX_BYTES, _MAX_DEPTH = 1 << 20, 64


def plain(value, where="config"):
    """A fresh copy made of dict, list, str, int, float, bool and None; ValueError names what is not."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return plain(value.item(), where)
    if isinstance(value, (int, float)):
        return value
    raise ValueError(
        f"{where} is a {type(value).__name__}; a run's configuration holds only dict, list, str, numbers, "
        "bool and None"
    )


def flatten(config, prefix=""):
    """{"a": {"b": 1}} -> {"a.b": 1}; lists stay values, empty dicts too."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def training_keys(config):
    """The flat keys that can alter the training: all but IGNORED_KEYS and what lies below them."""
    return {
        key: value
        for key, value in flatten(plain(config)).items()
        if not any(key == ignored or key.startswith(f"{ignored}.") for ignored in IGNORED_KEYS)
    }


def config_hash(config):
    """Hexadecimal digest of everything in the configuration that can alter the training.

    An option that came later counts where it is not what trainings before it had: so the digest of a run
    recorded before is the same with it and without.
    """
    keys = training_keys(config)
    kept = {key: value for key, value in keys.items() if not migrations.is_as_before(key, value)}
    text = json.dumps(kept, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(stored, given):
    """[(key, stored value, given value)] of the flat keys that differ; absent ones read "(absent)"."""
    old, new = (training_keys(migrations.migrated(config)) for config in (stored, given))
    keys = sorted(old.keys() | new.keys())
    pairs = [(key, old.get(key, "(absent)"), new.get(key, "(absent)")) for key in keys]
    return [pair for pair in pairs if not _same(pair[1], pair[2])]


def dump(config):
    """The configuration as YAML text."""
    import yaml

    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)


def load(run_folder):
    """The configuration that a run began with, with every option of today; raises as `load_stages`."""
    return load_stages(run_folder)[0][1]


def load_stages(run_folder, recorded=None, changes=lambda: ()):
    """[(iteration from which on it holds, configuration)], oldest first, of a run folder.

    Each has every option of today (`gdlab.store.migrations`).

    Args:
      recorded: the `config_hash` that the last one has to have; None: there is but one, whatever its hash.
      changes: () -> [{"iteration": ..., "options": {flat key: value}}], what changed later; called where the
        configuration on disk is not the one that was recorded.

    Raises:
      DamagedRun: anything but plain YAML, or the hash is another. NewerSchema: it is of a later gdlab.
    """
    config = load_as_written(run_folder)
    path = os.path.join(run_folder, CONFIG_FILE)
    try:
        version = migrations.version_of(config)
    except ValueError as error:
        raise DamagedRun(str(error), path) from None
    if version > migrations.VERSION:
        raise NewerSchema(
            f"{path} has version {version} of the options, this gdlab knows up to {migrations.VERSION}: "
            "update gdlab"
        )
    stages = [(0, migrations.migrated(config))]
    if recorded is None or _hash_of(config, path) == recorded:
        return stages
    for change in changes():
        config = with_options(stages[-1][1], change["options"])
        stages.append((change["iteration"], config))
        if _hash_of(config, path) == recorded:
            return stages
    raise DamagedRun(f"not the configuration that was recorded: its hash is not {recorded}", path)


def with_options(config, options):
    """A copy of a configuration with other values at {flat key: value}; sections that lack are made."""
    config = dict(config)
    for key, value in options.items():
        *sections, name = key.split(".")
        node = config
        for part in sections:
            below = node.get(part)
            node[part] = dict(below) if isinstance(below, dict) else {}
            node = node[part]
        node[name] = value
    return config


def _hash_of(config, path):
    try:
        return config_hash(config)
    except ValueError as error:  # a date, say, which YAML knows and no configuration holds
        raise DamagedRun(str(error), path) from None


def load_as_written(run_folder):
    """The configuration as it stands in a run folder; raises `DamagedRun` for anything but plain YAML."""
    import yaml

    path = os.path.join(run_folder, CONFIG_FILE)
    stays_inside(path, run_folder)
    try:
        data, _ = read_small(path, _MAX_BYTES)
    except FileNotFoundError:
        raise DamagedRun("the configuration is missing", path) from None
    try:
        # The same safe loader in C where there is one: ten times faster, but without a check of depth.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        _check_nesting(yaml.parse(data, Loader=loader), path)
        config = yaml.load(data, Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DamagedRun(f"not valid YAML: {' '.join(str(error).split())}", path) from error
    if not isinstance(config, dict):
        raise DamagedRun("a mapping was expected", path)
    return config


def _check_nesting(events, path):
    # Aliases can make ten lines expand to gigabytes, deep nesting overflows the loader's stack.
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise DamagedRun("aliases are not allowed", path)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise DamagedRun(f"nested deeper than {_MAX_DEPTH}", path)


def _same(a, b):
    # As text: NaN equals itself, while 1, 1.0 and True differ (they train differently).
    return json.dumps(a) == json.dumps(b)
