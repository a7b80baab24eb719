"""The three losses of the run list, kept up to date by the writer so that no reader touches arrays."""

import numpy as np

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
