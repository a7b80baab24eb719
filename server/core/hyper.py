"""Hyper-parameters as text: what tells runs apart in a legend, and which colour each run has."""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from gdlab.analysis import axes
from gdlab.analysis.hyper import short_names, shown

_COLOUR = re.compile(r"([0-9a-fA-F]{6}):(.+)")
OPTIMIZER = "optimizer"
SIX = 6  # colours that are given away before the next six are


def described(recorded: Mapping[str, object]) -> dict[str, object]:
    """The flat hyper-parameters of a run that its training reads, and what each config group is set to
    under the group's name: {"optimizer": "adam", "optimizer.b1": 0.9, ...}.

    recorded: the commit record's "hyperparameters", or a whole configuration.
    """
    flat = shown(recorded)
    return {**flat, **axes.choices(flat)}


def differing(configs: Iterable[Mapping[str, object]]) -> list[str]:
    """Names of what tells runs apart: choices of config groups, and options that do not follow from them."""
    return list(axes.chosen(list(configs)))


def telling(configs: Iterable[Mapping[str, object]], count: int) -> list[str]:
    """At most `count` of the differing names: choices of config groups first, then what most runs have, in
    order of appearance."""
    configs = list(configs)
    names = differing(configs)
    groups = {name for name in names if any(f"{name}._target_" in config for config in configs)}
    often = {name: sum(name in config for config in configs) for name in names}
    common = sorted(names, key=lambda name: (name not in groups, -often[name]))[:count]
    return sorted((name for name in names if name in common), key=lambda name: name not in groups)


def labels(names: Sequence[str], configuration: Callable[[str], Mapping[str, object]]) -> dict[str, str]:
    """{run: text for the legend}: "sigma 0.05, seed 1" of what differs; the run's name where that is
    nothing, or does not tell it from another.

    Where the optimizers differ, their names come first ("adam, seed 1").
    """
    configs = [configuration(name) for name in names]
    columns = axes.chosen(configs) if len(names) > 1 else {}
    methods = columns.pop(OPTIMIZER, [axes.ABSENT] * len(names))
    short = short_names(list(columns))
    texts = {}
    for i, name in enumerate(names):
        parts = [] if methods[i] is axes.ABSENT else [str(methods[i])]
        rest = {short[key]: column[i] for key, column in columns.items()}
        parts += [f"{key} {value(leaf)}" for key, leaf in rest.items() if leaf is not axes.ABSENT]
        texts[name] = ", ".join(parts)
    found = list(texts.values())
    return {name: text if text and found.count(text) == 1 else name for name, text in texts.items()}


def value(leaf) -> str:
    """A hyper-parameter as text: floats in their shortest form, None and truth in small letters."""
    if leaf is None or isinstance(leaf, bool):
        return str(leaf).lower()
    return f"{leaf:g}" if isinstance(leaf, float) else str(leaf)


def colours(names: Sequence[str], found: Sequence[str], name: str) -> str:
    """The colour that a run's name asks for, or the next free one where another run of the page, earlier in
    the alphabet, asks for the same.

    found: those that differ most come first. Runs take them by the half dozen: only where the first six
    are taken a run gets one of the next. Only more runs than colours share one.
    """
    taken: set[int] = set()
    for run in sorted(set(names) | {name}):
        if len(taken) == len(found):
            taken.clear()
        first = len(taken) // SIX * SIX
        size = min(SIX, len(found) - first)
        place = zlib.crc32(run.encode()) % size
        while first + place in taken:
            place = (place + 1) % size
        taken.add(first + place)
        if run == name:
            break
    return found[first + place]


def chosen_colours(values: Iterable[str]) -> dict[str, str]:
    """{run: "#rrggbb"} of the address's "rrggbb:run" values; malformed ones are left out."""
    matches = (_COLOUR.fullmatch(text) for text in values)
    return {match[2]: "#" + match[1].lower() for match in matches if match}
