"""The hyper-parameters of many runs, one axis for each thing that was chosen.

What a config group is set to (the optimizer, the line search, a schedule) is a choice like any number, and
most of what stands below it follows from it: an option that is the same in all runs of one choice tells
nothing that the choice does not tell, and gets no axis. What still varies within a choice does, and is
missing where another choice has no such option. What stands in a config twice, because one place refers to
another, counts once.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from gdlab.analysis.hyper import as_key, differing, short_names
from gdlab.app_path import conf_dir
from gdlab.store.effects import is_below

NOTHING = "none"  # the choice of a group that is null
_TARGET = "._target_"
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()  # a run has no such option
# Whether these are there at all is decided by another group: an optimizer without a line search has none.
_ON = {
    **dict.fromkeys(("beta", "linesearch", "schedule", "weight_decay"), "optimizer"),
    "model": "problem",
    **dict.fromkeys(("train", "class_shares"), "dataset"),
}
_WITH = {"train.drop_last": "train.batch_size"}  # said with the other, and nothing without it


def hyperparameters(configs: Sequence[Mapping[str, object]], without: Sequence[str] = ()) -> dict:
    """{short name: column [M]} of what differs between flat configs [M], in the order of the configs.

    A column is float64 where all are numbers (NaN: missing), else an object array of text ("": missing).
    without: places whose options are no hyper-parameters.
    """
    found = chosen(configs, without)
    if "seed" in found and _tells_nothing("seed", found):
        del found["seed"]
    short = short_names(list(found))
    return {short[name]: _column(column) for name, column in found.items()}


def chosen(configs: Sequence[Mapping[str, object]], without: Sequence[str] = ()) -> dict[str, list]:
    """{name: its values [M]} of what differs between flat configs [M]: what config groups are set to, under
    the group's name, and what does not follow from that. ABSENT where a run has none.

    without: places whose options are no hyper-parameters.
    """
    groups = _groups(configs)
    names = [name for name in differing(configs) if not is_below(name, without)]
    # A group that is null in some runs has a leaf of its own name there.
    columns = {name: [config.get(name, ABSENT) for config in configs] for name in names if name not in groups}
    kept = {
        name: column
        for name, column in columns.items()
        if not _follows(name, column, groups) and not _comes_with(column, columns.get(_WITH.get(name, "")))
    }
    choices = {
        name: column
        for name, column in groups.items()
        if not is_below(name, without)
        and not _follows(name, column, {g: c for g, c in groups.items() if g != name})
    }
    places = {name: number for number, name in enumerate(dict.fromkeys(k for c in configs for k in c))}
    found = choices | kept
    order = sorted(found, key=lambda name: places.get(name + _TARGET, places.get(name, len(places))))
    return _once({name: found[name] for name in order})


def choices(config: Mapping[str, object]) -> dict[str, str]:
    """{place: what the group there is set to, "adam"} of the config groups of a flat config."""
    places = [key.removesuffix(_TARGET) for key in config if key.endswith(_TARGET)]
    return {place: _choice(place, config) for place in places}


def _tells_nothing(name, columns):
    """Whether every run has a value of its own here and a setting of its own in the other columns."""
    others = [column for other, column in columns.items() if other != name]
    if not others:
        return False
    settings = [tuple(map(_key, row)) for row in zip(*others, strict=True)]
    return len(set(settings)) == len(set(map(_key, columns[name]))) == len(settings)


def _groups(configs):
    """{place of a group: [M] which choice each run made} of the groups in which runs differ."""
    places = dict.fromkeys(
        key.removesuffix(_TARGET) for config in configs for key in config if key.endswith(_TARGET)
    )
    found = {}
    for place in places:
        choices = [_choice(place, config) for config in configs]
        targets = {config.get(place + _TARGET) for config in configs} - {None}
        if len({str(target).rpartition(".")[2] for target in targets}) < len(targets):
            choices = [config.get(place + _TARGET, c) for c, config in zip(choices, configs, strict=True)]
        if len(set(choices)) > 1:
            found[place] = choices
    return found


def _choice(place, config):
    """What a group is set to: the name of the yaml in conf/ that it comes from, else the end of its target;
    NOTHING where it is null, ABSENT where it is not there."""
    target = config.get(place + _TARGET)
    if target is None:
        return NOTHING if place in config else ABSENT
    below = place + "."
    options = {key.removeprefix(below).partition(".")[0] for key in config if key.startswith(below)}
    return _yaml_of(str(target), frozenset(options))


@lru_cache(maxsize=4096)
def _yaml_of(target, options):
    # A yaml with an option of one's own is that yaml still: of those that fit, the one that says most.
    fits = [
        (len(own), name) for (of, own), name in _known_choices().items() if of == target and own <= options
    ]
    return max(fits)[1] if fits else target.rpartition(".")[2]


@lru_cache(maxsize=1)
def _known_choices():
    """{(target, options): name} of the yamls of conf/; none for those that two of them share."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[tuple, set] = {}
    for path in sorted(conf_dir().glob("*/*.yaml")):
        node = yaml.load(path.read_text(), Loader=loader)
        if isinstance(node, dict) and "_target_" in node:
            found.setdefault((node["_target_"], frozenset(map(str, node))), set()).add(path.stem)
    return {signature: names.pop() for signature, names in found.items() if len(names) == 1}


def _follows(name, column, groups):
    """Whether a column is the same in all runs of each choice of a group that it stands below, or says no
    more than which choice there is of the group that decides whether it is there."""
    known = {_key(value) for value in column if value is not ABSENT}
    for place, made in groups.items():
        on = _ON.get(name.partition(".")[0]) == place and len(known) == 1
        if on or name.startswith(place + "."):
            values: dict = {}
            for choice, value in zip(made, column, strict=True):
                values.setdefault(choice, set()).add(_key(value))
            if all(len(found) == 1 for found in values.values()):
                return True
    return False


def _comes_with(column, other):
    """Whether a column of one value is there exactly where the other is."""
    same = other is not None and [v is ABSENT for v in column] == [v is ABSENT for v in other]
    return same and len({_key(value) for value in column if value is not ABSENT}) == 1


def _once(columns):
    """The columns without those that say what another says: the same name at its end, and the same values
    wherever both are there. The one that fewer runs have is kept, since it stands where it is used."""
    kept: dict[str, list] = {}
    for name, column in columns.items():
        for other in [o for o in kept if _last(o) == _last(name) and _agree(kept[o], column)]:
            if _count(column) >= _count(kept[other]):
                break
            del kept[other]
        else:
            kept[name] = column
    return kept


def _last(name):
    return name.rpartition(".")[2].replace("_", "")


def _agree(one, other):
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not ABSENT and b is not ABSENT]
    return bool(pairs) and all(_key(a) == _key(b) for a, b in pairs)


def _count(column):
    return sum(value is not ABSENT for value in column)


def _key(value):
    return "" if value is ABSENT else as_key(value)


def _column(values):
    missing = [value is ABSENT for value in values]
    if all(gone or _is_number(value) for gone, value in zip(missing, values, strict=True)):
        return np.array([np.nan if gone else float(v) for gone, v in zip(missing, values, strict=True)])
    texts = ["" if gone else _text(value) for gone, value in zip(missing, values, strict=True)]
    return np.array(texts, object)


def _is_number(value):
    """Whether a value is a number that a float can be; an integer of 400 digits is text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 1 << 1000


def _text(value):
    if isinstance(value, int) and abs(value) >= 1 << 1000:  # Python refuses to write out the longest
        return f"an integer of {value.bit_length():,} bits"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
