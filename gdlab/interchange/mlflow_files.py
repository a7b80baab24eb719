"""MLflow's folder of runs, `mlruns/EXPERIMENT/RUN/{meta.yaml,metrics,params,tags}`: small texts, one a
metric.

A line of a metric is "milliseconds value step". Artifacts are not entered. Source: mlflow's
`store/tracking/file_store.py`.
"""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gdlab.interchange.documents import MOST_DEPTH, plain
from gdlab.interchange.files import Entry, Opened, content, joined, walk
from gdlab.interchange.source import STRANGE, Collector, Found, Source, Unreadable, number

NAME = "mlflow"
META = "meta.yaml"
# mlflow numbers the states in its files and names them in its database.
STATES = {
    "1": "running", "2": "scheduled", "3": "finished", "4": "failed", "5": "killed",
}  # fmt: skip
_MOST_META, _MOST_TEXT, _MOST_LINE = 1 << 16, 1 << 16, 1 << 12
_OWN_TAGS = "mlflow."


def is_run(entry: Entry) -> bool:
    """Whether a folder is one of mlflow's runs."""
    return META in entry.files and ("metrics" in entry.folders or "params" in entry.folders)


def sources(root: Path, folders: Sequence[Path], metrics: Sequence[str]) -> list[Source]:
    """The runs in these folders; metrics: patterns of those wanted."""
    found = []
    for folder, name in _named(root, folders):
        read, print_of = partial(_read, folder, metrics), partial(_fingerprint, folder)
        found.append(Source(name, NAME, folder, read, print_of, _size(folder)))
    return found


def state_of(status: str) -> tuple[str, str | None]:
    """(state, reason) of mlflow's word for how a run ended."""
    word = STATES.get(status, status[:40].lower())
    if word in ("finished", "failed"):
        return word, None
    return "interrupted", f"mlflow has it as {word}"


def value_of(text: str) -> bool | int | float | str:
    """A parameter, which mlflow keeps as text, as what it was."""
    if text in ("True", "False", "true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text) if len(text) < 64 else text
        except ValueError:
            continue
    return text


def _named(root, folders):
    """[(folder, "EXPERIMENT/RUN")] by the names that people gave them; runs of one name have their id behind
    it.
    """
    names = {folder: (_said(folder.parent, "name"), _said(folder, "run_name")) for folder in folders}
    several = Counter(names.values())
    for folder, (experiment, run) in names.items():
        own = run if several[experiment, run] == 1 else f"{run}-{folder.name[:8]}"
        yield folder, own if folder.parent == root and experiment == root.name else f"{experiment}/{own}"


def _said(folder, key):
    """A name in a folder's meta.yaml, else that of the folder."""
    try:
        return str(_meta(folder).get(key) or folder.name)[:200].replace("/", "_")
    except Unreadable:
        return folder.name


def _size(folder):
    """Bytes to read, as far as they can be known before."""
    try:
        parts = [entry for part in ("metrics", "params") for entry in _entries(folder / part)]
        return sum(sum(entry.files.values()) for entry in parts)
    except (Unreadable, OSError):  # which reading the run will say
        return 0


def _entries(folder):
    return list(walk(folder)) if folder.is_dir() and not folder.is_symlink() else []


def _files(folder):
    """[(name, path)] of the files of a run that are read."""
    for part in ("metrics", "params"):
        for entry in _entries(folder / part):
            for name in sorted(entry.files):
                path = entry.path / name
                yield part, path.relative_to(folder / part).as_posix(), path


def _fingerprint(folder):
    prints = [f"{content(folder / META, _MOST_META)!r}"]
    for part, name, path in _files(folder):
        with Opened(path) as file:
            file.drain()
            prints.append(f"{part}/{name} {file.fingerprint}")
    return joined([*prints, ""])


def _read(folder, metrics):
    meta = _meta(folder)
    numbers, found = Collector(metrics), Found({}, {})
    prints = [f"{content(folder / META, _MOST_META)!r}"]
    for part, name, path in _files(folder):
        try:
            with Opened(path) as file:
                if part == "params":
                    found.config[name] = value_of(file.whole(_MOST_TEXT).decode("utf-8", "replace"))
                else:
                    _metric(file, name, numbers)
                file.drain()
                prints.append(f"{part}/{name} {file.fingerprint}")
        except Unreadable as error:
            found.damage.append(f"{part}/{name}: {error}")
    found.state, found.reason = state_of(str(meta.get("status", "3")))
    begun = number(meta.get("start_time"))
    found.started = begun / 1000 if begun else None
    found.series, found.notes = numbers.series(), numbers.notes()
    found.fingerprint = joined([*prints, ""])
    return found


def _meta(folder):
    """{key: text or number} of a folder's meta.yaml."""
    import yaml

    data = content(folder / META, _MOST_META)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _look(yaml.parse(data, Loader=loader))
        meta = yaml.load(data, Loader=loader)
    except Unreadable:
        raise
    except (yaml.YAMLError, *STRANGE) as error:  # a tag beside what it does not fit raises anything
        raise Unreadable(f"{META} is no YAML: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(meta, dict):
        raise Unreadable(f"{META} holds no mapping")
    return {key: plain(value) for key, value in meta.items() if isinstance(value, (str, int, float))}


def _look(events):
    """Refuses what would grow or nest without bound when it is loaded: the loader in C has no bound of its
    own."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable(f"{META} has aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise Unreadable(f"{META} is nested deeper than {MOST_DEPTH}")


def _metric(file, name, numbers):
    rest, line = b"", 0
    while data := file.read():
        *lines, rest = (rest + data).split(b"\n")
        for one in lines:
            line += 1
            _line(one, name, line, numbers)
        if len(rest) > _MOST_LINE:
            raise Unreadable(f"line {line + 1} has more than {_MOST_LINE:,} bytes")
    if rest:
        _line(rest, name, line + 1, numbers)


def _line(data, name, line, numbers):
    words = data.split()
    if not words:
        return
    try:
        time, value = float(words[0]), float(words[1])
        step = int(words[2]) if len(words) > 2 else 0
    except (ValueError, IndexError):
        raise Unreadable(f"line {line} is not 'milliseconds value step': {data[:60]!r}") from None
    numbers.add(name, step, value, time / 1000)
