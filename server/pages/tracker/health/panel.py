"""The health panel: warnings, losses, and the layers' distributions and steps."""

from server.core.context import Context, View
from server.pages.tracker.health.losses import Losses
from server.pages.tracker.health.rows import Distributions, Numbers, Rows
from server.pages.tracker.health.warnings import Warnings
from server.pages.tracker.lazy import lazily
from server.ui import card
from server.ui.pager import page_choice


def build(context: Context) -> View:
    """The panel, drawn when it is first shown."""

    def health(tracker) -> View:
        panel = Health(context, tracker)
        return View(panel.root, panel.update)

    return lazily(context, "health", health)


class Health:
    """root: the cards. update(): the dumps have grown, or the panel is shown again."""

    def __init__(self, context, tracker):
        self.tracker = tracker
        page = page_choice(context, "health_page")
        self.warnings, self.losses = Warnings(context, tracker), Losses(context, tracker)
        self.left = Rows(context, tracker, "health_distributions", "Distributions", Distributions, page)
        self.right = Rows(context, tracker, "health_numbers", "Steps and zeros", Numbers, page)
        parts = (self.warnings, self.losses, self.left, self.right)
        self.root = card.grid(context, *(part.root for part in parts), name="health")
        self._drawn = (self.losses, self.left, self.right)
        actions = {"selection": self.mark, "theme": self._redraw, "log": self.losses.turn, "step": self._step}
        for event, action in actions.items():
            context.on(event, self._here(action))

    def update(self) -> None:
        """Draws what is recorded now."""
        self.warnings.draw()
        self._redraw()

    def mark(self) -> None:
        """The selection."""
        for part in self._drawn:
            part.bands.mark()

    def _redraw(self) -> None:
        for part in self._drawn:
            part.draw()

    def _step(self, by: int) -> None:
        """Another dump than the one that is selected."""
        now = self.tracker.selection.dumps
        if len(now) == 1:
            self.tracker.select(dumps=(min(max(now[0] + by, 0), self.tracker.count - 1),))

    def _here(self, action):
        def act(*args):
            if self.tracker.mode == "health":
                action(*args)

        return act
