"""Folders of TensorBoard's event files as runs: which folder is a run, and what of it is a part of another.

A folder with event files is a run, as TensorBoard has it, but for what one training writes into several: the
parts "train" and "validation" of Keras and clu, whose metrics are named after them, and the folder named by
the time that PyTorch's `add_hparams` makes for hyper-parameters.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from gdlab.interchange import hparams
from gdlab.interchange.event_files import events
from gdlab.interchange.files import Opened, fingerprint, joined
from gdlab.interchange.source import Collector, Found, Source, Unreadable
from gdlab.interchange.wire import Malformed

NAME = "tensorboard"
PARTS = ("train", "training", "validation", "valid", "val", "test", "eval", "evaluation", "dev")
_MARK = "tfevents"
_TIME = re.compile(r"\d{9,11}(\.\d+)?")


def is_event_file(name: str) -> bool:
    """Whether a file's name is one of TensorBoard's: it looks for the same word."""
    return _MARK in name


def sources(root: Path, folders: Mapping[Path, Mapping[str, int]], metrics: Sequence[str]) -> list[Source]:
    """The runs below `root`; folders: {folder: {event file: bytes}}; metrics: patterns of those wanted."""
    found = []
    for run, parts in _runs(root, folders).items():
        paths = [(prefix, folder / name) for prefix, folder in parts for name in sorted(folders[folder])]
        size = sum(folders[path.parent][path.name] for _, path in paths)
        name = run.relative_to(root).as_posix()
        read, print_of = partial(_read, paths, metrics), partial(_fingerprint, paths)
        found.append(Source(name, NAME, run, read, print_of, size))
    return found


def _runs(root, folders):
    """{folder of a run: [(prefix of its metrics, folder with files)]}."""
    runs: dict[Path, list[tuple[str, Path]]] = {}
    for folder in sorted(folders):
        parent = folder.parent
        siblings = [one for one in folders if one.parent == parent and one.name.lower() in PARTS]
        if folder == root:
            runs.setdefault(folder, []).append(("", folder))
        elif _TIME.fullmatch(folder.name) and parent in folders:
            runs.setdefault(parent, []).append(("", folder))
        elif folder.name.lower() in PARTS and (parent in folders or len(siblings) > 1):
            runs.setdefault(parent, []).append((f"{folder.name}/", folder))
        else:
            runs.setdefault(folder, []).append(("", folder))
    return runs


def _fingerprint(paths):
    return joined(fingerprint(path) for _, path in paths)


def _read(paths, metrics):
    numbers, found, prints, first, refused = Collector(metrics), Found({}, {}), [], [], []
    for prefix, path in paths:
        try:
            with Opened(path) as file:
                damage: list[str] = []
                for event in events(file, damage):
                    _take(event, prefix, numbers, found, first)
                file.drain()
                prints.append(file.fingerprint)
                found.damage += [f"{path.name}: {what}" for what in damage]
        except Unreadable as error:
            refused.append(f"{path.name}: {error}")
    if len(refused) == len(paths):
        raise Unreadable(refused[0])
    found.damage += refused
    found.series, found.notes = numbers.series(), numbers.notes()
    found.started = min(first, default=None) if found.started is None else found.started
    found.fingerprint = joined(prints)
    return found


def _take(event, prefix, numbers, found, first):
    if event.restarted:
        numbers.restart(event.step, prefix)
    if event.numbers and event.wall > 0 and not first:
        first.append(event.wall)
    for tag, value in event.numbers:
        name = tag if tag.startswith(prefix) else prefix + tag
        numbers.add(name, event.step, value, event.wall)
    for content in event.hparams:
        try:
            config, started, state = hparams.read(content)
        except (Malformed, IndexError):
            continue
        found.config |= config
        found.started = started or found.started
        found.state = state or found.state
