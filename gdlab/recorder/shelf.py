"""Carries out, in the thread that writes, what the Keeper has decided in the loop."""

import os
import threading
from collections.abc import Callable, Sequence

from gdlab.recorder.keeping import Command, Drop, Keep
from gdlab.store import DamagedRun, kept, requests

AT_ONCE = 4  # copies that may wait to be written
AT_ONCE_BYTES = 64 << 20  # of them, or more where they are few


class Shelf:
    """Of one run folder."""

    def __init__(self, path: str | os.PathLike, say: Callable[[str], None]):
        """say: is told what is kept no longer, and why."""
        self.path, self._say = os.fspath(path), say
        self._given_up: set[str] = set()
        self._waiting, self._bytes = 0, 0
        self._settled = threading.Condition()

    def announce(self, commands: list[Command]) -> None:
        """These are on their way: copies take room on the device until they are written."""
        with self._settled:
            self._waiting += len(commands)
            self._bytes += sum(command.nbytes for command in commands)

    def full(self) -> bool:
        """Whether so much waits that the loop should wait, too."""
        return self._waiting > AT_ONCE and self._bytes > AT_ONCE_BYTES

    def wait(self, alive: Callable[[], bool]) -> None:
        """Until it is no longer `full`, or whoever writes is not alive."""
        with self._settled:
            while self.full() and alive():
                self._settled.wait(0.2)

    def carry_out(self, command: Command) -> None:
        """Write or remove; a Measure is taken by others. Raises what the store raises."""
        try:
            if isinstance(command, Drop):
                for number in command.numbers:
                    kept.remove(self.path, command.kind, number)
            elif isinstance(command, Keep) and command.kind not in self._given_up:
                trees = {name: copy.leaves() for name, copy in command.trees.items()}
                self._write(command, trees)
        finally:
            self.settled([command])

    def _write(self, command, trees):
        """What is of such a kind that it cannot be kept ends its kind, never the record."""
        try:
            kept.write(self.path, command.kind, command.number, trees, command.facts)
        except ValueError as error:
            self._given_up.add(command.kind)
            self._say(f"no more {command.kind}: that of iteration {command.number}: {error!s:.500}")

    def settled(self, commands: Sequence[Command]) -> None:
        """These that were announced are no longer on their way."""
        with self._settled:
            self._waiting -= len(commands)
            self._bytes -= sum(command.nbytes for command in commands)
            self._settled.notify_all()

    def asked(self) -> int:
        """For how many iterations a reader has asked since the last look; what is not understood is
        removed."""
        try:
            count = requests.asked(self.path)
        except DamagedRun:
            count = 0
            requests.answered(self.path)
        if count:
            requests.answered(self.path)
        return count
