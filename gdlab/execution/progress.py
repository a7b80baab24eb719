"""What a person sees while a training runs: a bar with loss and speed, or a line now and then."""

import sys
import time

from gdlab.messages import counted

LINE_EVERY = 10.0


class Progress:
    """Progress of one piece of work on stderr; use as a context manager.

    `update(step, loss)` per chunk of a training, or `share(fraction, text)` of anything else.
    """

    def __init__(self, name, total, start=0, unit="iterations"):
        self.name, self.total, self.unit = name, total, unit
        self.started, self.first = time.monotonic(), start
        self.next_line = self.started + LINE_EVERY
        self.bar = self.task = None

    def __enter__(self):
        if sys.stderr.isatty():
            self.bar = _bar() if self.unit == "iterations" else _share_bar()
            self.task = self.bar.add_task(
                self.name, total=self.total, completed=self.first, loss="", speed=""
            )
            self.bar.start()
        return self

    def __exit__(self, *exception):
        if self.bar is not None:
            self.bar.stop()

    def update(self, step, loss):
        """`step` iterations are done; `loss` is the newest error."""
        speed = (step - self.first) / max(time.monotonic() - self.started, 1e-9)
        if self.bar is not None:
            self.bar.update(self.task, completed=step, loss=f"{loss:.6g}", speed=f"{speed:,.0f} it/s")
        elif time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + LINE_EVERY
            self.say(f"{step:,} of {counted(self.total, 'iteration')}, loss {loss:.6g}, {speed:,.0f} it/s")

    def share(self, fraction, text):
        """`fraction` of the work is done, and what is being done."""
        if self.bar is not None:
            self.bar.update(self.task, completed=fraction * self.total, loss=text)
        elif time.monotonic() >= self.next_line:
            self.next_line = time.monotonic() + LINE_EVERY
            self.say(f"{fraction:.0%}, {text}")

    def say(self, text):
        """One line about the run."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)


def _bar():
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}", markup=False),
        TextColumn("{task.fields[speed]}", markup=False),
        TimeRemainingColumn(),
    )
    return Bar(*columns, console=Console(stderr=True))


def _share_bar():
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[loss]}", markup=False),
        TimeRemainingColumn(),
    )
    return Bar(*columns, console=Console(stderr=True))
