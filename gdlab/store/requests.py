"""What a reader asks of a training that runs, by one small file in the run folder for each: "look closely at
the next iterations", "stop".

Whoever may write the folder may ask; the training reads at its next commit and removes the file. It can be
asked for nothing but so many moments, of which the Recorder keeps what its budget allows, and for a clean
end.
"""

import contextlib
import os

from gdlab.store import checksums, files
from gdlab.store.errors import DamagedRun

FILE = "look_closely.json"
STOP = "stop.json"
MOST = 100  # iterations asked for at once
_LIMIT = 4096  # bytes


def ask(root: str | os.PathLike, iterations: int) -> None:
    """Ask for the next so many iterations, 1 to MOST. Raises ValueError, NotWritable, DiskFull,
    DamagedRun."""
    if isinstance(iterations, bool) or not isinstance(iterations, int) or not 1 <= iterations <= MOST:
        raise ValueError(f"iterations={iterations!r}: allowed: 1 to {MOST}")
    _ask(root, FILE, {"iterations": iterations})


def asked(root: str | os.PathLike) -> int:
    """How many iterations are asked for; 0 for none. DamagedRun where the file is not what `ask` writes."""
    document = _asked(root, FILE)
    if document is None:
        return 0
    count = document.get("iterations")
    if type(count) is not int or not 1 <= count <= MOST:
        path = os.path.join(root, FILE)
        raise DamagedRun(f"{count!r:.80} iterations, 1 to {MOST} can be asked for", path)
    return count


def answered(root: str | os.PathLike, name: str = FILE) -> None:
    """What was asked for is on its way: the file is removed, whatever it is, unless it is a folder."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(root, name))


def ask_to_stop(root: str | os.PathLike) -> None:
    """Ask for a clean end. Raises NotWritable, DiskFull, DamagedRun."""
    _ask(root, STOP, {"stop": True})


def stop_taken(root: str | os.PathLike) -> bool:
    """Whether a clean end is asked for; the request is removed, and so is what is none."""
    try:
        document = _asked(root, STOP)
    except (DamagedRun, OSError):
        document = {}
    if document is not None:
        answered(root, STOP)
    return document is not None and document.get("stop") is True


def _ask(root, name, document):
    path = os.path.join(root, name)
    if os.path.lexists(path) and not os.path.isfile(path):
        raise DamagedRun("not a regular file", path)
    files.replace_file(path, checksums.sealed(checksums.placed(document)))


def _asked(root, name):
    """The document of a request, None where there is none; DamagedRun where it is not one of ours."""
    path = os.path.join(root, name)
    try:
        data, _ = files.read_small(path, _LIMIT)
    except FileNotFoundError:
        return None
    if not checksums.is_sealed(data, path):
        raise DamagedRun("its checksum is missing", path)
    return files.parse_json(data, path)
