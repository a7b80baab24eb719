"""Where looking at a run may find what its config names: paths of a recorded config are names, no more.

A training reads what its command names. A replay and a probe look at a run that may come from somebody
else, so they read data only from folders that the one who looks has named (`--data-dir` of the server,
`data_dir=` of task=probe, `Places` in Python, GDLAB_DATA) and published data from the user's cache, they
follow the config to earlier runs only below the folder of runs, and they download nothing. What was moved is
found by the end of its recorded path: data/cats as FOLDER/data/cats, FOLDER/cats, or FOLDER where that is
itself called cats.
"""

import os
from pathlib import Path
from typing import NamedTuple

from gdlab.data.files import without_downloads
from gdlab.plan.builder import ConfigError, instantiate, takes
from gdlab.plan.targets import installed, short

RUNS = "runs"  # what conf/config.yaml calls the folder of runs
MAX_PATH = 4096  # characters


class Places(NamedTuple):
    """data: folders, or zips, that data may come from, besides GDLAB_DATA and the user's cache; runs: folders
    below which earlier runs may lie."""

    data: tuple = ()
    runs: tuple = ()

    def of_data(self):
        """The folders of `data` and GDLAB_DATA, links followed."""
        return [Path(folder).resolve() for folder in (*self.data, os.environ.get("GDLAB_DATA")) if folder]


def around(run, data=()):
    """The Places of one who looks at the run in a folder: earlier runs lie beside it, or below ./runs.

    data: folders that its data may come from.
    """
    run, runs = Path(run).absolute(), Path(RUNS).absolute()
    return Places(tuple(data), (runs,) if run.is_relative_to(runs) else (run.parent,))


def as_recorded(config):
    """The Places that a config names itself: for one's own runs, whose paths one gave oneself."""
    node = config.get("dataset") or {}
    data = _joined(node.get("data_dir") or config.get("data_dir"), node.get("path"))
    earlier = [(config.get(section) or {}).get("path") for section in ("schedule", "class_shares")]
    return Places((data,) if data else (), tuple(path for path in earlier if path))


def dataset_of(plan, places=None):
    """The dataset that the plan names, or None; places: of one who looks, None: where it says itself.

    Raises ConfigError: a wrong option; data that are damaged, or not there.
    """
    node = plan.dataset
    if node is None:
        return None
    if not takes(node, "data_dir"):
        return instantiate(node, "dataset")
    if places is None:
        return instantiate({"data_dir": plan.data_dir, **node}, "dataset")
    within = takes(node, "path") and node["_target_"] in installed("dataset")
    told = ("data_dir", "path") if within else ("data_dir",)
    options = {name: value for name, value in node.items() if name not in told}
    for folder in _candidates(plan, places, within):
        try:
            with without_downloads():
                return instantiate(options, "dataset", data_dir=folder)
        except ConfigError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
    raise _refusal(plan, places, within)


def located(config, places):
    """The config with the earlier runs that it follows where they lie, below the folders of runs.

    Raises ConfigError: there is none of that name.
    """
    found = {}
    for section in ("schedule", "class_shares"):
        node = config.get(section)
        if isinstance(node, dict) and node.get("path") and node.get("_target_") in installed(section):
            found[section] = {**node, "path": _earlier_run(section, node["path"], places)}
    return {**config, **found}


def _candidates(plan, places, within):
    # In turn, as the option data_dir; None: GDLAB_DATA or the cache. within: whether it is whatever lies at a
    # path, so that its name must agree, and not published files.
    recorded = _recorded(plan, within)
    named = _found(recorded, places.of_data()) if recorded else []
    return named if within else [*named, None, *places.of_data()]


def _refusal(plan, places, within):
    return ConfigError(
        f"dataset: the data of this run (recorded as {short(_recorded(plan, within))}) are in no folder "
        f"that may be read while one looks ({_listed(places.of_data()) or 'none is named'}), and looking "
        "downloads nothing. Name their folder: python -m server RUNS --data-dir FOLDER, task=probe "
        "data_dir=FOLDER, or GDLAB_DATA=FOLDER"
    )


def _recorded(plan, within):
    node = plan.dataset
    folder = _text(node.get("data_dir") or plan.data_dir, "data_dir")
    return _joined(folder, _text(node.get("path"), "dataset.path") if within else None)


def _earlier_run(section, path, places):
    found = _found(_text(path, f"{section}.path"), [Path(folder).resolve() for folder in places.runs])
    if not found:
        raise ConfigError(
            f"{section}.path={short(path)}: while one looks, earlier runs are read from the folder of runs "
            f"alone ({_listed(places.runs)}), and there is none of that name; put it there"
        )
    return str(found[0])


def _found(recorded, allowed):
    """What lies within the allowed folders and is called as `recorded` ends, the likeliest first."""
    path = Path(recorded)
    parts = [part for part in path.parts if part != path.anchor]
    if ".." in parts or "\0" in recorded or len(recorded) > MAX_PATH:
        return []
    tried = [path]
    for folder in allowed:
        tried += [folder.joinpath(*parts[start:]) for start in range(len(parts))]
        tried += [folder] if parts and folder.name == parts[-1] else []
    found = []
    for place in tried:
        real = _real(place)
        if real is not None and real not in found and any(real.is_relative_to(folder) for folder in allowed):
            found.append(real)
    return found


def _real(place):
    """Where a path leads, links followed; None where nothing is."""
    try:
        return place.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None


def _joined(folder, path):
    return os.path.join(folder or "", path or "") or None


def _text(value, name):
    if value is None or isinstance(value, str):
        return value
    raise ConfigError(f"{name}={short(value)}: allowed: a path, or null")


def _listed(folders):
    return ", ".join(map(str, folders))
