"""The name of a run's folder: the experiment's or problem's, and what the command changed.

    digits_sgd                                  experiment=digits_sgd
    digits_sgd--learning_rate-0.1--seed-2       ... optimizer.learning_rate=0.1 seed=2

It depends on the command's own words alone, so that the same command finds its run again. A key is as short
as tells the command's keys apart. A value that would have to be altered to be part of a name keeps a hash of
what it was. No name needs quotes in a command, none is hidden, and none is longer than a file system takes.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from gdlab.store.config import IGNORED_KEYS, flatten
from gdlab.store.config import load as load_config
from gdlab.store.errors import StoreError
from gdlab.store.folder import RUN_FILE

MOST_BYTES = 120  # of a name; file systems allow 255, and what writes beside a folder adds to its name
_VALUE_BYTES = 40
_OLD_LIMIT = 120
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)*")
_SPECIAL = ("true", "false", "null", "nan", "inf")
_DELETED = "no"  # the value of a key that a command takes out


def run_name(prefix: str, changes: Mapping[str, Any], *, whole: bool = False) -> str:
    """The folder's name for a run of `prefix` whose command changed `changes`, {key: plain value}.

    A value None stands for null; whole: with the hash that tells it from another run of this name.
    """
    keys = _short_keys(changes)
    parts = [f"{keys[key]}-{_value(value)}" for key, value in changes.items()]
    parts = [one for one in (_prefix(prefix), *sorted(parts)) if one]
    name = "--".join(parts) or "run"
    digest = _digest(repr((prefix, sorted(changes.items(), key=lambda item: item[0]))))
    if whole:
        return f"{_cut(name, MOST_BYTES - len(digest) - 2)}--{digest}"
    if len(name.encode()) > MOST_BYTES:
        return f"{_cut(name, MOST_BYTES - len(digest) - 2)}--{digest}"
    return name


def own_changes(overrides: Sequence[Any], excluded: Sequence[str] = ()) -> dict[str, Any]:
    """{key: plain value} of parsed overrides, without what does not alter a training.

    overrides: as Hydra parses them; excluded: further keys that are left out.
    """
    left_out = {*IGNORED_KEYS, *excluded, "name"}
    found = {}
    for override in overrides:
        key = override.key_or_group
        if override.is_hydra_override() or any(key == one or key.startswith(f"{one}.") for one in left_out):
            continue
        at = f"@{override.package}" if override.package else ""
        found[key + at] = _DELETED if override.is_delete() else _plain(override.value())
    # Of these two one alone says something; the other is put in to take back what an experiment has.
    if found.get("train.batch_size", 0) is None and "train.batches" in found:
        del found["train.batch_size"]
    if found.get("train.batches") == 1 and found.get("train.batch_size") is not None:
        del found["train.batches"]
    return found


def chosen_name(folder: Path, prefix: str, changes: Mapping[str, Any], old: str) -> str:
    """The name below `folder` under which this run lies, or is to be recorded.

    old: the name that gdlab gave it before names were short; a run that lies there goes on there. Where
    another run, one that was not changed like this, has taken the short name, the name has a hash.
    """
    short = run_name(prefix, changes)
    if not _holds_run(folder / short):
        return old if old != short and _holds_run(folder / old) else short
    return run_name(prefix, changes, whole=True) if _contradicts(folder / short, changes) else short


def old_name(prefix: str, overrides: str) -> str:
    """The name before: all overrides as they were typed, "," between them; long ones cut and with a hash."""
    said = f"problem={prefix}"
    parts = [part for part in overrides.replace("/", "_").split(",") if part not in ("", said)]
    text = ",".join([prefix, *parts] if prefix else parts) or "run"
    if len(text) <= _OLD_LIMIT:
        return text
    return f"{text[: _OLD_LIMIT - 13]}-{sha256(text.encode()).hexdigest()[:12]}"


def _holds_run(path):
    try:
        return (path / RUN_FILE).exists()
    except OSError:  # a name too long for this file system
        return False


def _contradicts(path, changes):
    """Whether the run in `path` was trained with another value of a key that `changes` has."""
    try:
        recorded = flatten(load_config(path))
    except StoreError:
        return False
    return any(_differs(recorded, key, value) for key, value in changes.items())


def _differs(recorded, key, value):
    if "." not in key or value == _DELETED or any(one.startswith(f"{key}.") for one in recorded):
        return False  # the choice of a group is not recorded by its name
    if key not in recorded:
        return True
    if isinstance(value, str):  # a path is recorded as an absolute one
        return "${" not in value and not str(recorded[key]).endswith(value.lstrip("./"))
    return not isinstance(value, dict) and repr(recorded[key]) != repr(value)


def _short_keys(keys):
    """{key: its last words, as few as are no other key's last words}."""
    parts = {key: key.split(".") for key in keys}
    endings = Counter(tuple(words[-n:]) for words in parts.values() for n in range(1, len(words) + 1))
    short = {}
    for key, words in parts.items():
        fewest = next((n for n in range(1, len(words)) if endings[tuple(words[-n:])] == 1), len(words))
        short[key] = _safe(".".join(words[-fewest:]))
    return short


def _prefix(text):
    """A name given by a person: its own letters of any script, but nothing that hides or leads elsewhere."""
    text = str(text)
    kept = "/".join(filter(None, (_visible(part) for part in text.split("/"))))
    whole = kept if kept == text else f"{kept or 'run'}-{_digest(text)}"
    return whole if len(whole.encode()) <= MOST_BYTES else f"{_cut(whole, MOST_BYTES - 9)}-{_digest(text)}"


def _visible(part):
    kept = "".join(c if c.isalnum() or c in "_.-@" else "_" for c in part)
    return kept.lstrip(".-")


def _value(value):
    """A value as part of a name: as it is where that is readable and cannot be taken for another one."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        return repr(value).replace("+", "")
    if isinstance(value, list) and value and all(type(one) in (int, float) for one in value):
        return _limited("_".join(repr(one).replace("+", "") for one in value), repr(value))
    if (
        isinstance(value, str)
        and _WORD.fullmatch(value)
        and "--" not in value
        and value.lower() not in _SPECIAL
    ):
        return _limited(value, value)
    text = _safe(value if isinstance(value, str) else repr(value))
    return f"{_cut(text, _VALUE_BYTES - 9)}-{_digest(repr(value))}".lstrip("-")


def _limited(text, whole):
    return text if len(text) <= _VALUE_BYTES else f"{_cut(text, _VALUE_BYTES - 9)}-{_digest(whole)}"


def _safe(text):
    """ASCII letters, digits, "_", "." and "@"; each run of anything else becomes one "_"."""
    return re.sub(r"[^A-Za-z0-9_.@]+", "_", text).strip("_.")


def _cut(text, most):
    """The beginning of `text` in at most so many bytes, no letter cut in two."""
    return text.encode()[:most].decode(errors="ignore").rstrip("-_. ")


def _digest(text):
    return sha256(text.encode()).hexdigest()[:8]


def _plain(value):
    """A parsed value without Hydra's own types."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
