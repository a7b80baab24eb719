"""What a list shows of each run, from its commit record alone: the writer keeps the losses up to date."""

import numpy as np

from gdlab.store import lease

_BLOCK_ROWS = 1 << 16


class Losses:
    """First, final and best (smallest finite) loss of the "scalars" rows seen so far; None before any."""

    def __init__(self, columns):
        self._loss = columns.index("loss") if "loss" in columns else None
        self._end = columns.index("loss_end") if "loss_end" in columns else self._loss
        self.first = self.final = self.best = None

    @classmethod
    def of(cls, streams, known=None):
        """For a writer's streams; rows already there are read unless `known` (a summary) covers them."""
        stream = streams.get("scalars")
        if stream is None:
            return cls(())
        this = cls(stream.layout.columns)
        if known is not None and "best_loss" in known:
            this.first, this.final, this.best = (known[f"{word}_loss"] for word in ("first", "final", "best"))
            return this
        for start in range(0, stream.rows, _BLOCK_ROWS):
            this.add(stream.read(start, min(start + _BLOCK_ROWS, stream.rows)))
        return this

    def add(self, rows):
        """Take further rows [n, S] into account."""
        if self._loss is None or not len(rows):
            return
        if self.first is None:
            self.first = float(rows[0, self._loss])
        self.final = float(rows[-1, self._end])
        values = rows[:, (self._loss, self._end)]
        values = values[np.isfinite(values)]
        if len(values):
            low = float(values.min())
            self.best = low if self.best is None else min(low, self.best)

    def facts(self):
        """{"first_loss", "final_loss", "best_loss"}."""
        return {"first_loss": self.first, "final_loss": self.final, "best_loss": self.best}


def state(path, facts):
    """The state of a run with these commit-record facts: "running" needs a living writer."""
    recorded = facts.get("state")
    return "crashed" if recorded == "running" and not lease.is_alive(path) else recorded


def summary(path, name, found):
    """The dict that `Run.summary` returns, from the Manifest of a run."""
    facts = found.facts
    numbers = facts.get("summary") or {}
    return {
        "name": name,
        "state": state(path, facts),
        "reason": facts.get("reason"),
        "iterations": numbers.get("iterations", 0),
        "first_loss": numbers.get("first_loss"),
        "final_loss": numbers.get("final_loss"),
        "best_loss": numbers.get("best_loss"),
        "started": facts.get("started"),
        "updated": facts.get("updated"),
        "seconds": facts.get("seconds"),
        "generation": found.generation,
        "verified": found.sums is not None,
        "status": facts.get("status") or {},
        "hyperparameters": facts.get("hyperparameters") or {},
    }
