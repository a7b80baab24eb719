"""A reader asks a training that runs: "look closely at the next iterations". One small file in the run
folder.

The page writes it, where it may write the folder; the Recorder of a loop reads it at its next commit and
removes it. It can ask for nothing but so many moments, of which the Recorder keeps what its budget allows.
"""

import contextlib
import os

from gdlab.store import checksums, files
from gdlab.store.errors import DamagedRun

FILE = "look_closely.json"
MOST = 100  # iterations asked for at once
_LIMIT = 4096  # bytes


def ask(root: str | os.PathLike, iterations: int) -> None:
    """Ask for the next so many iterations, 1 to MOST. Raises ValueError, NotWritable, DiskFull,
    DamagedRun."""
    if isinstance(iterations, bool) or not isinstance(iterations, int) or not 1 <= iterations <= MOST:
        raise ValueError(f"iterations={iterations!r}: allowed: 1 to {MOST}")
    path = os.path.join(root, FILE)
    if os.path.lexists(path) and not os.path.isfile(path):
        raise DamagedRun("not a regular file", path)
    files.replace_file(path, checksums.sealed(checksums.placed({"iterations": iterations})))


def asked(root: str | os.PathLike) -> int:
    """How many iterations are asked for; 0 for none. DamagedRun where the file is not what `ask` writes."""
    path = os.path.join(root, FILE)
    try:
        data, _ = files.read_small(path, _LIMIT)
    except FileNotFoundError:
        return 0
    if not checksums.is_sealed(data, path):
        raise DamagedRun("its checksum is missing", path)
    count = files.parse_json(data, path).get("iterations")
    if type(count) is not int or not 1 <= count <= MOST:
        raise DamagedRun(f"{count!r:.80} iterations, 1 to {MOST} can be asked for", path)
    return count


def answered(root: str | os.PathLike) -> None:
    """What was asked for is on its way: the file is removed, whatever it is, unless it is a folder."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(root, FILE))
