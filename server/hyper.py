"""Which hyper-parameters tell runs apart: only those are worth a column or a place in a legend."""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

_COLOUR = re.compile(r"([0-9a-fA-F]{6}):(.+)")
_SILENT = ("_target_", "_partial_", "hydra.", "data_dir")  # parts of names that tell nothing
METHOD = "optimizer._target_"
_OWN = ("name", "task")  # the run's name says it already


def flatten(config, prefix: str = "") -> dict[str, object]:
    """{"optimizer.sigma": 0.05, ...}: the leaves of a nested config, lists as text."""
    if isinstance(config, Mapping):
        leaves: dict[str, object] = {}
        for key, value in config.items():
            leaves.update(flatten(value, f"{prefix}.{key}" if prefix else str(key)))
        return leaves
    if isinstance(config, (list, tuple)):
        return {prefix: ", ".join(map(str, config))}
    return {prefix: config}


def differing(configs: Iterable[Mapping[str, object]]) -> list[str]:
    """Names of the flat hyper-parameters with more than one value, in order of first appearance.

    A parameter that some runs lack differs. Paths of a machine and Hydra's own keys do not count.
    """
    configs = list(configs)
    names = dict.fromkeys(key for config in configs for key in config)
    missing = object()
    return [
        name
        for name in names
        if name not in _OWN
        and not any(part in name for part in _SILENT)
        and len({_key(config.get(name, missing)) for config in configs}) > 1
    ]


def telling(configs: Iterable[Mapping[str, object]], count: int) -> list[str]:
    """At most `count` of the differing names: those that most runs have, in order of appearance."""
    configs = list(configs)
    names = differing(configs)
    common = sorted(names, key=lambda name: -sum(name in config for config in configs))[:count]
    return [name for name in names if name in common]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """{"optimizer.line_search.sigma": "sigma"}: the shortest ends of the names that are unique."""
    short = {}
    for name in names:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            end = ".".join(parts[-count:])
            if sum(other == end or other.endswith("." + end) for other in names) == 1:
                break
        short[name] = end
    return short


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
        found.setdefault(methods[name], set()).add(_key(config[key]) if key in config else None)
    return any(len(values) > 1 for values in found.values())


def _key(leaf) -> str:
    return repr(leaf)
