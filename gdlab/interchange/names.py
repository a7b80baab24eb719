"""Names from elsewhere as names of a run folder: of metrics, and of the folders themselves."""

import re
from collections.abc import Iterable
from hashlib import sha256

from gdlab.plan.naming import run_name

MOST_PART, MOST_PARTS = 64, 5  # as arrays are named, below "metric/"
_BAD = re.compile(r"[^A-Za-z0-9_.-]+")
_SETTING = re.compile(r"([A-Za-z_][\w.]{0,60})=([\w.+-]{1,60})")


def metric_names(names: Iterable[str]) -> dict[str, str]:
    """{name as it was written: name of its array below "metric/"}, no two of them one, none within
    another.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        kept = metric_name(name)
        found[name] = kept if kept.lower() not in taken else _marked(kept, name)
        taken.add(found[name].lower())
    folders = {kept[:at] for kept in taken for at in _slashes(kept)}
    for name, kept in found.items():
        if kept.lower() in folders:  # "loss" beside "loss/train": a folder holds one or the other
            other = f"{kept}.value"
            found[name] = other if other.lower() not in taken else _marked(other, name)
    return found


def folder_name(name: str) -> str:
    """A run's name as that of a folder, "lr=0.1,seed=3" as gdlab's own sweeps have it, "lr-0.1--seed-3"; what
    would lead elsewhere or hide is left out."""
    return run_name(_SETTING.sub(r"\1-\2", name).replace(",", "--"), {})


def settings(name: str) -> dict[str, str | int | float | bool]:
    """{"lr": 0.1, "seed": 3} of a folder called "lr=0.1,seed=3", as sweeps name them."""
    return {key: _value(value) for key, value in _SETTING.findall(name[:1000])}


def metric_name(name: str) -> str:
    """A name as that of an array below "metric/": letters, digits, "_", "." and "-" in at most five parts."""
    parts = [_part(part) for part in name.split("/")]
    parts = [part for part in parts if part] or [f"metric-{_digest(name)}"]
    if len(parts) > MOST_PARTS:
        parts = [*parts[: MOST_PARTS - 1], _part(".".join(parts[MOST_PARTS - 1 :]))]
    return "/".join("zarr_json" if part == "zarr.json" else part for part in parts)


def _marked(kept, name):
    """Another name of the same look."""
    head, slash, last = kept.rpartition("/")
    return f"{head}{slash}{last[: MOST_PART - 15]}-{_digest(name)}"


def _part(text):
    kept = _BAD.sub("_", text).lstrip("_.-").rstrip("_")
    if len(kept) <= MOST_PART - 6:  # ".value" may come behind it
        return kept
    return f"{kept[: MOST_PART - 15]}-{_digest(text)}"


def _slashes(name):
    return [at for at, letter in enumerate(name) if letter == "/"]


def _digest(text):
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _value(text):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
