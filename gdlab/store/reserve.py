"""A little space kept for a last word: how a run ended, on a disk that is full by then.

The file goes with the run's end. Its space is enough for one more commit record, of the rows that were
committed last; rows that were still waiting are lost, as without it.
"""

import contextlib
import os

from gdlab.store import files, manifest
from gdlab.store.errors import StoreError

RESERVE = "RESERVE"
_SPARE = 16 << 10


def keep(run_folder):
    """Take the space; raises DiskFull where there is none."""
    record = os.path.join(run_folder, manifest.LOG, manifest.GROUP)
    files.replace_file(os.path.join(run_folder, RESERVE), bytes(2 * os.path.getsize(record) + _SPARE))


def release(run_folder):
    """Give the space back."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(run_folder, RESERVE))


def last_word(run_folder, reason):
    """Say in the latest commit record, in the space that was kept, that the run failed and why."""
    release(run_folder)
    log = os.path.join(run_folder, manifest.LOG)
    with contextlib.suppress(StoreError, OSError):
        found, _ = manifest.read(log)
        manifest.write(log, found._replace(facts={**found.facts, "state": "failed", "reason": str(reason)}))
