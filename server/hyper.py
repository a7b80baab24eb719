"""Hyper-parameters as text: what tells runs apart in a legend, and which colour each run has."""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from gdlab.analysis.hyper import as_key, differing, short_names
from gdlab.analysis.hyper import flatten as flatten

_COLOUR = re.compile(r"([0-9a-fA-F]{6}):(.+)")
METHOD = "optimizer._target_"


def telling(configs: Iterable[Mapping[str, object]], count: int) -> list[str]:
    """At most `count` of the differing names: those that most runs have, in order of appearance."""
    configs = list(configs)
    names = differing(configs)
    common = sorted(names, key=lambda name: -sum(name in config for config in configs))[:count]
    return [name for name in names if name in common]


def labels(names: Sequence[str], configuration: Callable[[str], Mapping[str, object]]) -> dict[str, str]:
    """{run: text for the legend}: "sigma 0.05, seed 1" of what differs; the run's name where that is
    nothing, or does not tell it from another.

    Where the optimizers differ, their names come first ("adam, seed 1"), and an option of an optimizer is
    named only where runs of that same optimizer differ in it.
    """
    configs = {name: configuration(name) for name in names}
    keys = differing(configs.values()) if len(names) > 1 else []
    methods = {name: str(config.get(METHOD, "")).rpartition(".")[2] for name, config in configs.items()}
    several = len(set(methods.values())) > 1
    if several:
        keys = [key for key in keys if not key.startswith("optimizer.") or _open(key, configs, methods)]
    short = short_names(keys)
    texts = {}
    for name, config in configs.items():
        parts = [f"{short[key]} {value(config[key])}" for key in keys if key in config]
        texts[name] = ", ".join(([methods[name]] if several and methods[name] else []) + parts)
    found = list(texts.values())
    return {name: text if text and found.count(text) == 1 else name for name, text in texts.items()}


def value(leaf) -> str:
    """A hyper-parameter as text: floats in their shortest form, None and truth in small letters."""
    if leaf is None or isinstance(leaf, bool):
        return str(leaf).lower()
    return f"{leaf:g}" if isinstance(leaf, float) else str(leaf)


def colours(names: Sequence[str], categories: Sequence[str], name: str) -> str:
    """The colour that a run's name asks for, or the next free one where another run of the page,
    earlier in the alphabet, asks for the same."""
    taken: dict[int, str] = {}
    for run in sorted(set(names) | {name}):
        wanted = zlib.crc32(run.encode()) % len(categories)
        if len(taken) < len(categories):
            while wanted in taken:
                wanted = (wanted + 1) % len(categories)
            taken[wanted] = run
        if run == name:
            break
    return categories[wanted]


def chosen_colours(values: Iterable[str]) -> dict[str, str]:
    """{run: "#rrggbb"} of the address's "rrggbb:run" values; malformed ones are left out."""
    matches = (_COLOUR.fullmatch(text) for text in values)
    return {match[2]: "#" + match[1].lower() for match in matches if match}


def _open(key: str, configs: Mapping[str, Mapping], methods: Mapping[str, str]) -> bool:
    """Whether runs of the same optimizer differ in the option `key`."""
    found: dict[str, set] = {}
    for name, config in configs.items():
        found.setdefault(methods[name], set()).add(as_key(config[key]) if key in config else None)
    return any(len(values) > 1 for values in found.values())
