"""SQLite files of strangers, opened to be read and no more: nothing in them is executed, nothing is written.

A view, a trigger or an expression in a schema would be code of whoever made the file: only ordinary tables
are read, and the time that a query takes has a bound. A journal beside the file is not replayed into it. Rows
may share one long text on the disk, so what is kept of a text has a bound, and so has the sum.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gdlab.interchange.files import Opened, fingerprint_once, joined
from gdlab.interchange.source import Unreadable

MOST_NAME = 200  # characters of the name of a run
SUFFIXES = (".db", ".sqlite", ".sqlite3")
MOST_TEXT = 4 << 20  # bytes of one value
SECONDS = 600  # of all queries to one file
_MAGIC = b"SQLite format 3\0"
_STEPS = 100_000  # of SQLite's machine between two looks at the clock


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that can read alone. Raises Unreadable for what is no database, and for errors within."""
    with Opened(path) as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise Unreadable("is no database of SQLite")
    wal = path.with_name(path.name + "-wal")
    if wal.is_symlink() or (wal.exists() and not wal.is_file()):
        raise Unreadable(f"{wal.name} beside it is no regular file")
    # What a writer has not yet put into the file itself lies in its journal, and is read only from there.
    waiting = wal.exists() and wal.stat().st_size > 0
    how = "mode=ro" if waiting else "mode=ro&immutable=1"
    end = time.monotonic() + SECONDS
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)
    except sqlite3.Error as error:
        raise Unreadable(f"cannot be opened: {error}") from None
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_TEXT)
        connection.set_progress_handler(lambda: int(time.monotonic() > end), _STEPS)
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        yield connection
    except sqlite3.Error as error:
        raise Unreadable(f"is damaged, or no such database: {error}") from None
    finally:
        connection.close()


def bounded(column: str, most: int = MOST_NAME) -> str:
    """An expression for a number as it is, and for the beginning of anything else."""
    number = f"typeof({column}) IN ('integer', 'real')"
    return f"CASE WHEN {number} THEN {column} ELSE SUBSTR({column}, 1, {most}) END"


def lying(path: Path) -> int:
    """Bytes of a database and of the journal beside it; its texts have no more, unless rows share them."""
    wal = path.with_name(path.name + "-wal")
    return path.stat().st_size + (wal.stat().st_size if wal.is_file() else 0)


def fingerprint(path: Path) -> str:
    """Of a database with the journal beside it."""
    wal = path.with_name(path.name + "-wal")
    own = fingerprint_once(path)
    return joined([own, fingerprint_once(wal)]) if wal.is_file() and wal.stat().st_size else own


def columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Names of the columns of an ordinary table, () where there is none of this name."""
    kinds = connection.execute(
        "SELECT SUBSTR(type, 1, 10), SUBSTR(sql, 1, 40) FROM sqlite_master WHERE name = ? LIMIT 2", (table,)
    ).fetchall()
    if len(kinds) != 1 or kinds[0][0] != "table" or "VIRTUAL" in str(kinds[0][1]).upper():
        return ()
    # Hidden and generated columns (whose values are computed) are left out.
    rows = connection.execute(f"PRAGMA table_xinfo({table})").fetchall()
    return tuple(row[1] for row in rows if row[6] == 0)
