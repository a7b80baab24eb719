"""What a Recorder is given before it writes: a folder that it may write, hyper-parameters to be kept."""

import enum
import os
from collections.abc import Mapping
from typing import Any

from gdlab import store
from gdlab.store import config as configs
from gdlab.store import schema
from gdlab.store.effects import CONFIG, RECORDER, is_of_recorder
from gdlab.store.folder import check_config, check_lease, check_new

MOST_TEXT, MOST_DEPTH = 1 << 19, 50  # characters and nesting of the hyper-parameters; readers take no more


def checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The hyper-parameters as plain values; ValueError says which cannot be kept.

    Texts, numbers and truth values of other classes (NumPy's, those of an Enum) become Python's own.
    """
    found: dict[str, Any] = configs.plain(_own(dict(config), 0))
    if not schema.is_plain(found):
        raise ValueError("config holds a number that no float can hold")
    size = len(configs.dump(found))
    if size > MOST_TEXT:
        raise ValueError(f"config takes {size:,} characters; {MOST_TEXT:,} are kept: write arrays elsewhere")
    return found


def recorded(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration in a run folder: what stands in it are the loop's own names, not gdlab's options."""
    return {RECORDER: 1, CONFIG: config}


def begun(path: str | os.PathLike) -> "store.Run | None":
    """The run in a folder, None where none was begun; raises what `open_run` raises, ConfigMismatch where it
    is none of a Recorder."""
    try:
        run = store.open_run(path)
    except (store.NotARun, store.HalfWritten):
        return None
    if not is_of_recorder(run.config):
        raise store.ConfigMismatch(
            f"{path} holds a run that gdlab has trained: a Recorder goes on with its own alone; choose "
            "another folder"
        )
    return run


def check(path: str, config: dict[str, Any] | None, resume: bool) -> None:
    """What is wrong with the folder is said before a training, not at its first iteration."""
    if not (resume and begun(path)):
        check_new(path, recorded(config or {}))
        _check_writable(path)
        return
    check_lease(path)
    if config is not None:
        check_config(path, recorded(config))


def _check_writable(path):
    parent = path
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent):
        raise store.NotWritable(f"cannot write {path}: {parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise store.NotWritable(f"cannot write {path}: {parent} is not writable")


def _own(value, depth):
    """The value with Python's own kinds of texts and numbers."""
    if depth > MOST_DEPTH:
        raise ValueError(f"config is nested deeper than {MOST_DEPTH}")
    if isinstance(value, enum.Enum):
        return _own(value.value, depth)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"config holds a text that is none: {error}") from None
    if isinstance(value, Mapping):
        return {str(key): _own(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_own(item, depth + 1) for item in value]
    for kind in (str, bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value
