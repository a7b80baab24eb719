"""What people already have, as run folders: `python -m gdlab task=import from=PATH`, or `gdlab.import_runs`.

Each run is read whole, within bounds, then written whole. A run that cannot be read is named and skipped; the
others are imported. What is there already is not written again, and what has grown is added to.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gdlab.interchange import placing
from gdlab.interchange.choosing import chosen
from gdlab.interchange.documents import plain
from gdlab.interchange.finding import search
from gdlab.interchange.names import folder_name, settings
from gdlab.interchange.rows import arrays
from gdlab.interchange.source import STRANGE, Source, Unreadable, why
from gdlab.messages import counted
from gdlab.store.errors import DiskFull, NotWritable, StoreError

RUNS = "runs"
_MOST_CONFIG = 1 << 19  # characters of hyper-parameters; readers take no more
_WORDS = ("imported", "extended", "made anew", "already there")


class Imported(NamedTuple):
    """What `import_runs` did. folders: of the runs, whether written now or before; counts: {"imported",
    "extended", "made anew" or "already there": runs}; skipped: [(place, why)]; notes: [(folder, words)] of
    what was read with losses; left: in words, what lies there and was not asked for; points: numbers read."""

    folders: list[Path]
    counts: dict[str, int]
    skipped: list[tuple[str, str]]
    notes: list[tuple[Path, str]]
    left: list[str]
    points: int


class _Options(NamedTuple):
    loss: str | None
    accuracy: str | None
    metrics: tuple[str, ...]
    step: str | None
    run: str | None

    def plain(self):
        return {
            key: list(value) if key == "metrics" else value for key, value in self._asdict().items() if value
        }


def import_runs(
    path: str | Path,
    into: str | Path | None = None,
    *,
    format: str | None = None,
    loss: str | None = None,
    accuracy: str | None = None,
    metrics: Sequence[str] = (),
    step: str | None = None,
    run: str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Imported:
    """Make run folders of what TensorBoard, Weights & Biases, MLflow, trackio or a table holds.

    Args:
      path: a file, or a folder that is searched for runs; links in it are not followed, nothing is executed.
      into: the folder of the runs, "runs/NAME of path" if None; of one run in a file or right in the folder
        `path`, its own folder.
      format: tensorboard, wandb, mlflow, trackio, csv, jsonl, parquet; None: what is there.
      loss: the metric that becomes the error, "none" for none; None: what is called so.
      accuracy: the metric that ensembles compare, in [0, 1]; "none"; None: what is called so.
      metrics: patterns of the names to read, as a shell has them ("val/*"); none: all, at most 1,000 a run.
      step, run: of tables, the columns of the steps, and of what tells runs apart ("none": one run a file).
      progress: (share done, words), called now and then.

    Returns:
      An Imported. Runs are as a `Recorder` makes them; where their numbers come from is in their identity.

    Raises:
      Unreadable (a ValueError): nothing to import is there, or an option is wrong. StoreError: the folder of
      runs cannot be written.
    """
    root, options = Path(path), _Options(loss, accuracy, tuple(metrics), step, run)
    found = search(root, format, options.metrics, step, run)
    base = root.resolve()
    target = (
        Path(into)
        if into is not None
        else Path(RUNS) / folder_name(base.name if root.is_dir() else base.stem)
    )
    places = _places(root, target, found.sources)
    done = Imported([], dict.fromkeys(_WORDS, 0), list(found.skipped), [], found.left, 0)
    ending = _Ending(found.sources, progress)
    points = 0
    for source, folder in zip(found.sources, places, strict=True):
        ending.at(source, folder)
        try:
            word, folder, notes, count = _one(source, folder, base, options)
        except (DiskFull, NotWritable):
            raise
        except (*STRANGE, StoreError, OSError) as error:
            done.skipped.append((str(source.place), why(error)))
            continue
        points += count
        done.counts[word] += 1
        done.folders.append(folder)
        done.notes.extend((folder, note) for note in notes)
    ending.done()
    return done._replace(points=points)


class _Ending:
    """How far it is, by the bytes that are to be read."""

    def __init__(self, sources, tell):
        self._tell, self._sum, self._before = tell, sum(one.size for one in sources) or 1, 0
        self._count, self._number, self._next = len(sources), 0, 0.0

    def at(self, source: Source, folder: Path) -> None:
        if self._tell is not None and time.monotonic() >= self._next:
            self._tell(
                self._before / self._sum, f"run {self._number + 1:,} of {self._count:,}: {folder.name}"
            )
            self._next = time.monotonic() + 0.1
        self._before += source.size
        self._number += 1

    def done(self) -> None:
        if self._tell is not None and self._count:
            self._tell(1.0, f"{counted(self._count, 'run')} looked at")


def _places(root, target, sources):
    """The folder of each run, no two the same."""
    if len(sources) == 1 and (sources[0].name == "." or not root.is_dir()):
        return [target]
    found, taken = [], set()
    for source in sources:
        name = folder_name(source.name if source.name != "." else root.resolve().name)
        if name.lower() in taken:
            name = folder_name(f"{name}:{source.place}")  # a name that is altered has a hash
        taken.add(name.lower())
        found.append(target / name)
    return found


def _one(source, folder, root, options):
    """(what was done, the folder, notes, numbers read) of one run."""
    facts = placing.origin(source, root, "", options.plain())
    before = placing.recorded_origin(folder)
    if before is not None and not placing.is_same(before, facts):
        raise Unreadable(
            f"{folder} holds a run imported from {before.get('source')}: choose another folder by into="
        )
    if before is None and folder.exists() and any(folder.iterdir()):
        raise Unreadable(f"{folder} holds something else: choose another folder by into=")
    asked = before is not None and before.get("options") == facts["options"]
    if asked and placing.is_whole(folder, source.fingerprint()):
        return "already there", folder, [], 0
    found = source.read()
    if not found.series:
        raise Unreadable("; ".join(["it has no numbers", *found.damage, *found.notes]))
    config = _config(found, source)
    made = arrays(found, chosen(found.series, options.loss, options.accuracy))
    facts["fingerprint"] = found.fingerprint
    count = sum(len(one.step) for one in found.series.values())
    told = [*found.damage, *found.notes]
    if before is None:
        placing.create(folder, config, found.state, found.reason, made, facts)
        return "imported", folder, told, count
    return placing.renew(folder, config, found.state, found.reason, made, facts), folder, told, count


def _config(found, source):
    """The hyper-parameters of a run; where it has none, what the names of its folders say."""
    from gdlab.store import config as configs

    config = plain(found.config) or plain(settings(source.name))
    size = len(configs.dump(config))
    if size > _MOST_CONFIG:
        found.notes.append(f"hyper-parameters of {size:,} characters left out: {_MOST_CONFIG:,} are kept")
        return {}
    return config
