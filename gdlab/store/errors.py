"""What can be wrong with a run folder, one exception per cause.

All are `StoreError`, so a list of runs can show a damaged one as a card beside the others. Each
keeps its constructor arguments in `args`: an exception raised in a worker process arrives intact.
"""

from gdlab.messages import closest

_LONGEST = 500  # characters of what is wrong: a stranger's file may hold a text of any length there


def _short(text):
    """The text, without its middle where it is long."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} [...] {text[-half:]}"


class StoreError(Exception):
    """Base class: something about a run folder that its user can understand and act upon."""


class NotARun(StoreError, FileNotFoundError):
    """The path is missing, empty, or holds something that is not a run."""

    def __str__(self):
        return str(self.args[0])


class HalfWritten(StoreError):
    """The writer ended before its first commit: nothing was recorded, nothing can be read."""


class NewerSchema(StoreError):
    """The run was written by a later gdlab, whose layout this one does not know."""


class DamagedRun(StoreError):
    """The folder contradicts itself. `what` says how, `where` names the file."""

    def __init__(self, what, where):
        super().__init__(_short(str(what)), str(where))

    @property
    def what(self):
        """What is wrong, with the numbers that show it."""
        return self.args[0]

    @property
    def where(self):
        """The file that shows it."""
        return self.args[1]

    def __str__(self):
        return f"damaged run: {self.what} ({self.where})"


class RunExists(StoreError):
    """`create` was asked for a folder that already holds a run with the same configuration."""


class RunLocked(StoreError):
    """A live writer holds the folder; the message names its host and process."""


class LeaseLost(StoreError):
    """Another writer took the folder over, so this one must stop writing."""


class ConfigMismatch(StoreError, ValueError):
    """The folder holds a run with another configuration; the message lists every differing key."""


class BadCursor(StoreError, ValueError):
    """The row counts to resume from do not fit the rows that were committed."""


class Replaced(StoreError):
    """The folder no longer holds the run that something was computed from."""


class NoFunctions(StoreError):
    """The run carries no functions, or not the one that is needed; the message says which and why."""


class Refused(StoreError):
    """A function of a run folder that is not run here. `what` says why, `where` names the file."""

    def __init__(self, what, where):
        super().__init__(_short(str(what)), str(where))

    def __str__(self):
        return f"refused: {self.args[0]} ({self.args[1]})"


class BadRows(StoreError, ValueError):
    """Rows of the wrong name, shape or number were given."""


class UnknownName(StoreError, ValueError):
    """No array, column or table of that name; the message gives the nearest ones."""


class DiskFull(StoreError, OSError):
    """No space left. What was committed stays valid; rows not yet written are kept in memory."""

    def __str__(self):
        return str(self.args[0])


class NotWritable(StoreError, OSError):
    """The operating system refused to write, for another reason than a full disk."""

    def __str__(self):
        return str(self.args[0])


def nearest(name, valid):
    """'; did you mean ...' or the valid names, to end an error message with."""
    valid = sorted(map(str, valid))
    found = closest(name, valid)
    hint = f"; did you mean '{found}'?" if found else "."
    return f" Valid: {', '.join(valid) or 'none'}{hint}"
