"""Options that nothing reads: what was asked for and would change nothing is refused, not recorded.

A config is composed of defaults, of which not every training reads each: Adam has no beta formula. Left at
its default such an option says nothing, and is not shown. Set to something else it would be recorded, named
and listed as a choice that it was not. Which options these are says `gdlab.store.effects` for both.
"""

from dataclasses import fields
from functools import cache

from gdlab.app_path import conf_dir
from gdlab.plan.builder import check_sections
from gdlab.plan.options import plan_of
from gdlab.plan.ranges import check_ranges
from gdlab.plan.sections import Recorded, Train
from gdlab.plan.targets import ConfigError, nearest, parameters, resolve
from gdlab.store.config import flatten
from gdlab.store.effects import without_effect

SEEDS_IN_SINGLE = 1 << 32  # of larger ones JAX takes 32 bits, unless it has 64-bit types
# Refused where they would be made, with what the run lacks for them.
_SAID_ELSEWHERE = (
    *("schedule", "weight_decay", "class_shares", "train.devices"),
    *("record.validate", "record.dumps", "record.correlations"),
)


def check_asked(config):
    """Refuse a config that is to begin a training, for options of `train` and `record` that there are not,
    and for what `plan_of`, `check_sections`, `check_ranges` and `refuse_unread` refuse. Runs that were begun
    before there were such checks are not asked.

    Raises:
      ConfigError: as these.
    """
    plan_of(config)
    _refuse_unknown(config)
    _refuse_large_seed(config)
    check_sections(config)
    check_ranges(config)
    refuse_unread(config)


def _refuse_large_seed(config):
    if config["precision"] == "float32" and config["seed"] >= SEEDS_IN_SINGLE:
        raise ConfigError(
            f"seed={config['seed']}: allowed in float32: below {SEEDS_IN_SINGLE}; JAX would take the seed "
            f"{config['seed'] % SEEDS_IN_SINGLE} for it"
        )


def _refuse_unknown(config):
    for place, kind in (("train", Train), ("record", Recorded)):
        known = [field.name for field in fields(kind)]
        for name in config[place]:
            if name not in known:
                hint = nearest(name, known)
                raise ConfigError(f"{place} has no option '{name}'; allowed: {', '.join(known)}.{hint}")


def refuse_unread(config):
    """Refuse a config with options that differ from conf/'s defaults and that its training does not read.

    Raises:
      ConfigError: names the option, its value and why nothing reads it.
    """
    defaults = _defaults()
    # Without the data that its problem needs, a config lacks these, and says too much of nothing.
    lacking = config.get("dataset") is None and _takes(config["problem"]["_target_"], "data")
    for place, reason in unread(config).items():
        if lacking and place.startswith("train."):
            continue
        value, default = _at(config, place), _at(defaults, place)
        if place in _SAID_ELSEWHERE or (place.startswith("record.") and value is False):
            continue  # what is switched off is not there to be read, and the record says no more
        if value is not None and value != default and not _same_start(value, default):
            changed, usual = _changed(value, default, place)
            raise ConfigError(
                f"{changed} has no effect: {reason}. Leave it out{f', or set {usual}' * bool(usual)}; a run "
                "would be recorded as if it had one"
            )


def unread(config):
    """{place: why} of the sections and options of a config that its training does not read.

    Raises ConfigError where the problem's target is not allowed.
    """
    return without_effect(flatten(config), _takes)


def _takes(target, name):
    return name in parameters(resolve(target))


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
    """(the option that differs, as "linesearch.sigma=0.1", or a section of another target by that; the
    option with its default as a command gives it, where an experiment may have set another, or "")."""
    if not isinstance(value, dict):
        return f"{place}={value!r}", f"{place}={_word(default)}"
    if not isinstance(default, dict) or value.get("_target_") != default.get("_target_"):
        return f"{place}={str(value.get('_target_')).rpartition('.')[2]}", ""
    key = next(key for key in value if value[key] != default.get(key))
    usual = f"{place}.{key}={_word(default[key])}" if key in default else ""
    return f"{place}.{key}={value[key]!r}", usual


def _word(value):
    """A value as a command gives it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else value


@cache
def _defaults():
    import yaml

    conf = conf_dir()
    defaults = yaml.safe_load((conf / "config.yaml").read_text())
    chosen = {}
    for entry in defaults["defaults"]:
        if isinstance(entry, dict):
            chosen |= entry
    for group in ("beta", "linesearch", "record"):
        defaults[group] = yaml.safe_load((conf / group / f"{chosen[group]}.yaml").read_text())
    return defaults
