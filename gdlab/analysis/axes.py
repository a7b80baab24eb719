"""The hyper-parameters of many runs, one axis for each thing that was chosen.

What a config group is set to (the optimizer, the line search, a schedule) is a choice like any number, and
most of what stands below it follows from it: an option that is the same in all runs of one choice tells
nothing that the choice does not tell, and gets no axis. What still varies within a choice does, and is
missing where another choice has no such option. What stands in a config twice, because one place refers to
another, counts once.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from gdlab.analysis.hyper import as_key, differing, short_names
from gdlab.app_path import conf_dir

NOTHING = "none"  # the choice of a group that is null
_TARGET = "._target_"
_ABSENT = object()


def hyperparameters(configs: Sequence[Mapping[str, object]], without: Sequence[str] = ()) -> dict:
    """{short name: column [M]} of what differs between flat configs [M], in the order of the configs.

    A column is float64 where all are numbers (NaN: missing), else an object array of text ("": missing).
    without: places whose options are no hyper-parameters.
    """
    groups = _groups(configs)
    names = [name for name in differing(configs) if not _is_below(name, without)]
    # A group that is null in some runs has a leaf of its own name there.
    columns = {
        name: [config.get(name, _ABSENT) for config in configs] for name in names if name not in groups
    }
    kept = {name: column for name, column in columns.items() if not _follows(name, column, groups)}
    chosen = {
        name: column
        for name, column in groups.items()
        if not _is_below(name, without)
        and not _follows(name, column, {g: c for g, c in groups.items() if g != name})
    }
    places = {name: number for number, name in enumerate(dict.fromkeys(k for c in configs for k in c))}
    found = chosen | kept
    order = sorted(found, key=lambda name: places.get(name + _TARGET, places.get(name, len(places))))
    found = _once({name: found[name] for name in order})
    if "seed" in found and _tells_nothing("seed", found):
        del found["seed"]
    short = short_names(list(found))
    return {short[name]: _column(column) for name, column in found.items()}


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
    NOTHING where it is null, _ABSENT where it is not there."""
    target = config.get(place + _TARGET)
    if target is None:
        return NOTHING if place in config else _ABSENT
    below = place + "."
    options = {key.removeprefix(below).partition(".")[0] for key in config if key.startswith(below)}
    # A yaml with an option of one's own is that yaml still: of those that fit, the one that says most.
    fits = [
        (len(own), name) for (of, own), name in _known_choices().items() if of == target and own <= options
    ]
    return max(fits)[1] if fits else str(target).rpartition(".")[2]


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
    """Whether a column is the same in all runs of each choice of a group that it stands below."""
    for place, choices in groups.items():
        if name.startswith(place + "."):
            values: dict = {}
            for choice, value in zip(choices, column, strict=True):
                values.setdefault(choice, set()).add(_key(value))
            if all(len(found) == 1 for found in values.values()):
                return True
    return False


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
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not _ABSENT and b is not _ABSENT]
    return bool(pairs) and all(_key(a) == _key(b) for a, b in pairs)


def _count(column):
    return sum(value is not _ABSENT for value in column)


def _key(value):
    return "" if value is _ABSENT else as_key(value)


def _column(values):
    missing = [value is _ABSENT for value in values]
    if all(gone or _is_number(value) for gone, value in zip(missing, values, strict=True)):
        return np.array([np.nan if gone else float(v) for gone, v in zip(missing, values, strict=True)])
    texts = ["" if gone else _text(value) for gone, value in zip(missing, values, strict=True)]
    return np.array(texts, object)


def _is_below(name, places):
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _is_number(value):
    """Whether a value is a number that a float can be; an integer of 400 digits is text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 1 << 1000


def _text(value):
    if isinstance(value, int) and abs(value) >= 1 << 1000:  # Python refuses to write out the longest
        return f"an integer of {value.bit_length():,} bits"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
