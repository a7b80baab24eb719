"""The words of a command: which are gdlab's options, whether they can be, and how they have to be quoted.

What can be told without composing the config is told here, with the nearest valid name.
"""

import itertools
from pathlib import Path
from typing import Any, NamedTuple

from gdlab.commands import hydras
from gdlab.plan.builder import ConfigError, nearest

# Options that hold one path or name: what cannot be parsed in them is taken as it stands.
# Groups of which a run may have none: Hydra knows no null where an experiment chooses.
OPTIONAL = ("dataset", "model", "schedule", "weight_decay", "class_shares")
TEXTS = (
    *("run", "output", "data_dir", "name", "hydra.run.dir", "hydra.sweep.dir", "from", "into"),
    *("import.loss", "import.accuracy", "import.metrics", "import.step", "import.run"),
)


MOST_SWEPT = 20  # choices of a group that are looked at for an option
# What task=extend may be told besides: where the run and its data are, and how a command is carried out.
_BESIDE = ("task", "run", "train.steps", "data_dir", "hydra")
EXTENSION = "task=extend run=runs/NAME train.steps=2000"


class Command(NamedTuple):
    """flags: what begins with "-", and its values; overrides: the rest; config_dir: of --config-dir;
    plain: whether a config is composed and something done, not only shown; several: whether -m is given."""

    flags: list
    overrides: list
    config_dir: str | None
    plain: bool
    several: bool


def parsed(arguments: list) -> Command:
    """The Command in `arguments`, overrides in any place; exits with 2 where a flag is unknown."""
    parser = hydras.parser()
    known, others = parser.parse_known_args(arguments)
    unknown = [text for text in others if text.startswith("-")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    overrides = [*known.overrides, *others]
    flags = list(arguments)
    for text in overrides:
        flags.remove(text)
    shown = known.help or known.hydra_help or known.info
    others_named = known.config_name is not None or known.config_path is not None
    plain = not (shown or others_named)
    overrides = _with_implied([_without_null(_quoted(text)) for text in overrides])
    return Command(flags, overrides, known.config_dir, plain, known.multirun)


def take_grid(command: Command):
    """(Command, overrides of its grid or None): what a task=ensemble sweeps over.

    Hydra must not deal with it, it has but one job; so it is taken out of the Command.
    """
    if "task=ensemble" not in command.overrides:
        return command, None
    if command.several:
        raise ConfigError("task=ensemble trains the whole grid as one job: leave -m out")
    overrides = _parsed(command.overrides)
    several = {override.input_line for override in overrides if override.is_sweep_override()}
    left = [text for text in command.overrides if text not in several]
    grid = [override.input_line for override in overrides if not override.is_hydra_override()]
    return command._replace(overrides=left), grid


def check(command: Command):
    """Refuse unknown groups, choices and options, with the nearest valid name; raises ConfigError."""
    from hydra.core.global_hydra import GlobalHydra

    if not command.plain:
        return
    if "task=extend" in command.overrides:  # its options are those of a recorded run
        return check_extension(command.overrides)
    overrides = _parsed(command.overrides)
    loader = hydras.loader(command.config_dir)
    try:
        groups = loader.list_groups("")
        chosen = []
        for override in overrides:
            key = override.key_or_group
            if key.startswith("hydra") or override.is_sweep_override() or override.is_delete():
                continue
            if key in groups:
                _check_choice(key, override.value(), loader.get_group_options(key))
                chosen.append(str(override.input_line))
        composed = [_composed(loader, [*chosen, *more]) for more in _swept(overrides, groups)]
    finally:
        GlobalHydra.instance().clear()
    for override in overrides:
        key = override.key_or_group
        if key in groups or key.startswith("hydra") or override.is_add():
            continue
        _check_key_in_one(key, composed, groups)


def check_extension(texts):
    """Refuse what the words of a task=extend would change besides the length; raises ConfigError."""
    keys = [text.lstrip("+~").partition("=")[0] for text in texts]
    for key in keys:
        if not any(key == one or key.startswith(f"{one}.") for one in _BESIDE):
            raise ConfigError(f"{key}: a run is extended in its number of iterations alone: {EXTENSION}")
    if "train.steps" not in keys:
        raise ConfigError(f"task=extend needs the number of iterations that the run is to have: {EXTENSION}")


def _swept(overrides, groups):
    """[[override]] of the choices that a sweep tries of each group, one by one; [[]] where it tries none."""
    found: list[list[str]] = []
    for override in overrides:
        if override.key_or_group in groups and override.is_choice_sweep():
            options = override.sweep_string_iterator()
            found += [
                [f"{override.key_or_group}={option}"] for option in itertools.islice(options, MOST_SWEPT)
            ]
    return found or [[]]


def _check_key_in_one(key, composed, groups):
    """Refuse an option that none of the composed configs has."""
    for config in composed[1:]:
        try:
            return _check_key(key, config, groups)
        except ConfigError:
            continue
    return _check_key(key, composed[0], groups)


def _parsed(texts):
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, found = OverridesParser.create(), []
    for text in texts:
        try:
            found.append(parser.parse_override(text))
        except HydraException as error:
            why = str(error).partition("\n")[0]
            raise ConfigError(
                f"{text} cannot be read ({why}); allowed: option=value, e.g. train.steps=50; what YAML "
                "would read in another way in quotes within quotes: 'name=\"a=b\"'"
            ) from None
    return found


def _quoted(text):
    """An override of TEXTS in quotes, where its value has none and is the name of something or unparsable."""
    key, sign, value = text.partition("=")
    if key not in TEXTS or not sign or value[:1] in ("", "'", '"'):
        return text
    try:
        _parsed([text])
        whole = "," not in value or not Path(value).exists()
    except ConfigError:
        whole = False
    if whole:
        return text
    escaped = value.replace("'", "\\'")
    return f"{key}='{escaped}'"


def _without_null(text):
    """`schedule=null` as the choice that is no schedule, among several choices too."""
    key, sign, value = text.partition("=")
    if key not in OPTIONAL or not sign:
        return text
    return f"{key}={','.join('none' if one.strip() == 'null' else one for one in value.split(','))}"


def _with_implied(overrides):
    """A size of mini-batches takes back the number of them that an experiment has, and a number the size."""
    keys = {text.lstrip("+").partition("=")[0] for text in overrides}
    size, number = "train.batch_size", "train.batches"
    if size in keys and number not in keys and f"{size}=null" not in overrides:
        return [*overrides, f"{number}=1"]
    if number in keys and size not in keys:
        return [*overrides, f"{size}=null"]
    return overrides


def _composed(loader, overrides):
    """The composed config as plain values, unresolved and without Hydra's own."""
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    config: Any = loader.load_configuration("config", list(overrides), RunMode.RUN)
    composed: Any = OmegaConf.to_container(config, resolve=False)
    return {key: value for key, value in composed.items() if key != "hydra"}


def _check_choice(group, value, options):
    if value is None:
        raise ConfigError(f"{group}=null: leave it out, or choose one of {', '.join(options)}")
    if str(value) not in options:
        hint = nearest(value, options)
        raise ConfigError(f"{group}={value}: there is no such {group}; allowed: {', '.join(options)}.{hint}")


def _check_key(key, composed, groups):
    node, seen = composed, []
    for part in key.split("."):
        if not isinstance(node, dict):
            return
        if part not in node:
            if not seen and part in groups:
                raise ConfigError(
                    f"{key}: no {part} is chosen that could have options; choose one by {part}=NAME"
                )
            allowed = [name for name in node if not name.startswith("_")]
            if not seen:
                allowed = sorted({*allowed, *groups})
            place = ".".join(seen) or "the config"
            hint = nearest(part, allowed)
            raise ConfigError(f"{key}: no option '{part}' in {place}; allowed: {', '.join(allowed)}.{hint}")
        node = node[part]
        seen.append(part)
