"""Whose job is next: readers take turns, and of each reader the newest job comes first.

A reader who asks for much never holds up another: whoever has waited longest without a turn is next, and a
reader whose job is being worked on stands behind all who waited meanwhile. A reader whose waiting jobs are
cancelled keeps the place for what is asked instead. Where nobody else waits, a reader has several turns at
once.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Task = TypeVar("Task", bound=Hashable)


class Turns(Generic[Task]):
    """Tasks that wait, each for one reader or for several that want the same. Not thread-safe."""

    def __init__(self):
        self._line: dict[Hashable, list[Task]] = {}  # in the order of turns; the newest last
        self._served: dict[Task, Hashable] = {}  # tasks that are worked on, and whose turns those are

    def __iter__(self) -> Iterator[Task]:
        """Every task that waits, once."""
        return iter({task: None for tasks in self._line.values() for task in tasks})

    def put(self, reader: Hashable, task: Task) -> None:
        """The reader asks for this now, again where it waits already."""
        tasks = self._line.setdefault(reader, [])
        if task in tasks:
            tasks.remove(task)
        tasks.append(task)

    def drop(self, task: Task, reader: Hashable) -> None:
        """The reader does not want a task any more."""
        if task in (tasks := self._line.get(reader, [])):
            tasks.remove(task)

    def take(self) -> Task | None:
        """The next task, which waits no longer; `done` is to be told when it has been worked on."""
        for reader in [reader for reader, tasks in self._line.items() if not tasks]:
            del self._line[reader]
        if not self._line:
            return None
        served = set(self._served.values())
        free = [reader for reader in self._line if reader not in served]
        reader = next(iter(free or self._line))
        task = self._line[reader][-1]
        for other in self._line:
            self.drop(task, other)
        self._served[task] = reader
        return task

    def done(self, task: Task) -> None:
        """A task that was taken is not worked on any more: its reader's next turn comes after the others'."""
        reader = self._served.pop(task, None)
        if reader in self._line:
            self._line[reader] = self._line.pop(reader)
