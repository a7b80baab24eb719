"""The card of losses and errors, on the training data and on the validation images."""

import numpy as np

from gdlab.records import Table
from server.pages.tracker.health.figure import Bands, Row
from server.ui import card
from server.ui.choices import Choice

HEIGHT = 104  # px of a band
SIDES = ("training", "validation")


class Losses:
    """root: the card. draw(): what is recorded now."""

    def __init__(self, context, tracker):
        self.context, self.tracker = context, tracker
        self._log = Choice(context, "health_log", False, title="Log", help="Logarithmic axes (l)")
        self._log.on_change(lambda value: self.draw())
        self.bands = Bands(context, tracker, "health_losses")
        self.root = card.card(
            context, "Loss and error", "", self.bands.figure, read="health", name="health_losses",
            figures=[self.bands.figure], csv=self.table, controls=[self._log.toggle("health_log")],
        )  # fmt: skip
        self.draw()

    def draw(self) -> None:
        """Loss, error and learning rate, as far as they are known."""
        rows = [Row(name, lines) for name, lines in self._known().items()]
        self.bands.draw(rows, HEIGHT, own=True, log=self._log.value)
        self.bands.tell([("training", "value0"), ("validation", "value1")])
        words = "Solid: training; dashed: validation." + (" Logarithmic." if self._log.value else "")
        card.retitle(self.root, caption=words if rows else "No loss was recorded with the dumps.")

    def turn(self) -> None:
        """Between linear and logarithmic axes."""
        self._log.set(not self._log.value)

    def table(self) -> Table:
        """For CSV: iteration, and each curve by name."""
        columns = {"iteration": self.tracker.dumps.iteration}
        for name, lines in self._known().items():
            columns |= {f"{side} {name}": values for side, values in lines.items()}
        return Table(columns, dict.fromkeys(columns, ("dump",)), {})

    def _known(self) -> dict[str, dict[str, np.ndarray]]:
        """{"loss": {side: [D]}, "error": ...}, without bands of which nothing is known."""
        scalars = self.tracker.dumps.scalars
        unknown = np.full(self.tracker.count, np.nan)
        loss = {"training": scalars.get("train_loss", unknown), "validation": scalars.get("loss", unknown)}
        right = (scalars.get("train_accuracy", unknown), scalars.get("accuracy", unknown))
        error = {side: 1 - values for side, values in zip(SIDES, right, strict=True)}
        bands = {"loss": loss, "error": error}
        return {n: lines for n, lines in bands.items() if any(np.isfinite(v).any() for v in lines.values())}
