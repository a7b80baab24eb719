"""Which hyper-parameters tell runs apart: only those are worth an axis, a column or a place in a legend."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gdlab.store import effects, migrations
from gdlab.store.config import IGNORED_KEYS, flatten

_SILENT = ("_target_", "_partial_", "hydra.", "data_dir")  # parts of names that tell nothing
_OWN = ("name", *IGNORED_KEYS)  # the run's name says it already, or it is nothing of the training
_IGNORED = frozenset(IGNORED_KEYS)
_KEPT = ("record.", "probes.")  # what is kept of a training, and what is asked of it, change nothing in it


def as_shown(config: Mapping) -> dict[str, object]:
    """{"optimizer.sigma": 0.05, ...}: the leaves of a nested config, lists as text."""
    leaves = {key: value for key, value in flatten(config).items() if value != {}}
    return {
        key: ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        for key, value in leaves.items()
    }


def shown(recorded: Mapping) -> dict[str, object]:
    """The flat hyper-parameters that are shown of what a commit record holds, or of a whole config.

    Options of today that a run from before them lacks have the value that it was trained with; what its
    training does not read is left out (`gdlab.store.effects`), and each thing has one name. A recorded loop
    has the names and values that it was given.
    """
    flat = as_shown(recorded)
    if effects.is_of_recorder(flat):
        return effects.named_once(flat)
    flat = effects.with_effect(migrations.migrated_flat(flat))
    return {
        key: value for key, value in effects.named_once(flat).items() if not effects.is_below(key, _IGNORED)
    }


def differing(configs: Iterable[Mapping[str, object]]) -> list[str]:
    """Names of the flat hyper-parameters with more than one value, in order of first appearance.

    A parameter that some runs lack differs. Paths of a machine, Hydra's own keys and what is recorded do
    not count.
    """
    return [
        name
        for name in varying(configs)
        if not effects.is_below(name, _OWN)
        and not name.startswith(_KEPT)
        and not any(part in name for part in _SILENT)
    ]


def varying(configs: Iterable[Mapping[str, object]]) -> list[str]:
    """Names of all flat keys with more than one value, in order of first appearance."""
    configs = list(configs)
    names = dict.fromkeys(key for config in configs for key in config)
    missing = object()
    return [name for name in names if len({as_key(config.get(name, missing)) for config in configs}) > 1]


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


def levels(values) -> tuple[np.ndarray, np.ndarray]:
    """(the distinct values in their order, position int [M] of each among them, -1 where it is missing).

    values [M]: numbers (NaN: missing), or text ("": missing), in which numbers come first and by size, "8"
    before "16"; then the rest by the alphabet.
    """
    values = np.asarray(values)
    text = values.dtype.kind not in "fiub"
    there = values != "" if text else np.isfinite(values)
    found, place = np.unique(values[there], return_inverse=True)
    if text:
        order = np.array(sorted(range(len(found)), key=lambda i: _natural(str(found[i]))), int)
        found, place = found[order], np.argsort(order)[place]
    position = np.full(len(values), -1)
    position[there] = place
    return found, position


def natural(words: Iterable[str]) -> list[str]:
    """Words in the order of `levels`."""
    return sorted(words, key=_natural)


def as_key(leaf) -> str:
    """A text by which equal hyper-parameters are equal: NaN equals itself, 1, 1.0 and True differ."""
    return repr(leaf)


def _natural(word):
    try:
        number = float(word)
    except ValueError:
        return (1, 0.0, word)
    return (0, number, word) if number == number else (1, 0.0, word)
