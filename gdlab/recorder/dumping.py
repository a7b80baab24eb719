"""The rows of dumps, from what a loop has handed over into the arrays of its run."""

from collections.abc import Callable
from typing import Any

from gdlab import store
from gdlab.recorder.keeping import Measure
from gdlab.store.folder import add_to_identity


class Dumping:
    """Takes the dumps of one run in the thread that writes.

    measuring: (the first Measure) -> a `gdlab.recorder.measuring.Measuring`, None where no dumps are taken;
    say: is told what goes wrong. An error of somebody else's function ends the dumps, never the record.
    """

    def __init__(self, measuring: Callable | None, say: Callable[[str], None]):
        self._make, self._say = measuring, say
        self._made: Any = None

    def take(self, measure: Measure, writer: Any, path: str) -> None:
        """Append the rows of a dump. Raises what the store raises where it cannot be written."""
        if self._make is None:
            return
        try:
            if self._made is None:
                self._made = self._make(measure)
                self._begin(writer, path)
            writer.append(self._made.rows(measure.number, measure.trees))
        except (store.DiskFull, store.NotWritable, store.LeaseLost):
            raise
        except Exception as error:  # whatever somebody's own functions raise
            self._make = None
            self._say(
                f"no more dumps: that of iteration {measure.number}: {type(error).__name__}: {error!s:.500}"
            )

    def begin_again(self) -> None:
        """The record was cut: changes are no longer counted from the dump before."""
        if self._made is not None:
            self._made.forget()

    def _begin(self, writer, path):
        there = writer.cursors()
        for name, spec in self._made.arrays.items():
            if name not in there:
                writer.add_array(name, spec)
        if not there.get("dump/label"):
            writer.append(self._made.constants)
        add_to_identity(path, {"network": self._made.network, "classes": list(self._made.classes)})
