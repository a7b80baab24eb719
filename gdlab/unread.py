"""Options that nothing reads: what was asked for and would change nothing is refused, not recorded.

A config is composed of defaults, of which not every training reads each: Adam has no beta formula. Left at
its default such an option says nothing. Set to something else it would be recorded, named and listed as a
choice that it was not.
"""

from functools import cache

from gdlab.app_path import conf_dir
from gdlab.config import check_sections
from gdlab.options import check_values
from gdlab.ranges import check_ranges
from gdlab.targets import ConfigError, parameters, resolve

_BATCHES = ("batches", "batch_size", "descent_length", "drop_last")


def check_asked(config):
    """Refuse a config that is to begin a training, for what `check_values`, `check_sections`, `check_ranges`
    and `refuse_unread` refuse; runs that were begun before there were such checks are not asked.

    Raises:
      ConfigError: as these.
    """
    check_values(config)
    check_sections(config)
    check_ranges(config)
    refuse_unread(config)


def refuse_unread(config):
    """Refuse a config with options that differ from conf/'s defaults and that its training does not read.

    Raises:
      ConfigError: names the option, its value and why nothing reads it.
    """
    defaults = _defaults()
    for place, reason in unread(config).items():
        value, default = _at(config, place), _at(defaults, place)
        if value is not None and value != default and not _same_start(value, default):
            changed = _changed(value, default, place)
            raise ConfigError(
                f"{changed} has no effect: {reason}. Leave it out; a run would be recorded as if it had one"
            )


def unread(config):
    """{place: why} of the sections and options of a config that its training does not read."""
    found = {}
    problem, optimizer = config["problem"], config["optimizer"]
    if config.get("dataset") is None:
        for name in _BATCHES:
            found[f"train.{name}"] = "this run has no data (dataset=null), hence no mini-batches"
    if not _takes(problem, "model"):
        found["model"] = f"the problem {problem['_target_']} has no network"
    for section, option, what in (
        ("beta", "beta", "beta formula"),
        ("linesearch", "line_search", "line search"),
    ):
        if not _takes(optimizer, option):
            found[section] = f"the optimizer {optimizer['_target_']} has no {what}"
        elif optimizer.get(option) != config.get(section):
            found[section] = f"the optimizer has a {what} of its own (optimizer.{option})"
    return found


def _takes(node, name):
    return name in parameters(resolve(node["_target_"]))


def _at(config, place):
    for part in place.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config


def _same_start(value, default):
    """Whether two sections are the same but for options that came later."""
    if not isinstance(value, dict) or not isinstance(default, dict):
        return False
    return all(value[key] == default[key] for key in value.keys() & default.keys()) and (
        value.keys() <= default.keys()
    )


def _changed(value, default, place):
    """The option that differs, as "linesearch.sigma=0.1"; a section of another target by that."""
    if not isinstance(value, dict):
        return f"{place}={value!r}"
    if not isinstance(default, dict) or value.get("_target_") != default.get("_target_"):
        return f"{place}={str(value.get('_target_')).rpartition('.')[2]}"
    key = next(key for key in value if value[key] != default.get(key))
    return f"{place}.{key}={value[key]!r}"


@cache
def _defaults():
    import yaml

    conf = conf_dir()
    defaults = yaml.safe_load((conf / "config.yaml").read_text())
    chosen = {}
    for entry in defaults["defaults"]:
        if isinstance(entry, dict):
            chosen |= entry
    for group in ("beta", "linesearch"):
        defaults[group] = yaml.safe_load((conf / group / f"{chosen[group]}.yaml").read_text())
    return defaults
