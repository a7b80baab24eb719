"""A card's question to the worker whose answer is a Table: its captions, and what is hidden without one."""

from collections.abc import Callable

from bokeh.models import LayoutDOM

from gdlab.records import Table
from server.ui.query import Query

CANCELLED = "Cancelled: what is shown is older. Choose again to go on."


class Asked:
    """progress: to be placed in the card; table: the answer that is shown, or None; caption(words) is told
    what became of a question that has no answer, and layouts are hidden as long as there is none."""

    def __init__(
        self, context, probe: str, show: Callable[[Table], None], caption: Callable[[str], None], *, name: str
    ):
        self.probe, self.show, self.caption = probe, show, caption
        self.layouts: list[LayoutDOM] = []
        self.query = Query(context, self._arrived, name=name, failed=self._failed, cancelled=self._cancelled)
        self.progress = self.query.progress

    @property
    def table(self) -> Table | None:
        """The answer that is shown."""
        return self.query.answer

    def ask(self, run, options: dict, words: str = "") -> bool:
        """Asks where this is another question than the last one; whether it is."""
        return self.query.probe(run, self.probe, options, words)

    def drop(self) -> None:
        """What was asked for is not wanted any more, nor its answer."""
        self.query.forget()

    def rows(self) -> Table:
        """The answer that is shown, for CSV."""
        return self.table or Table({}, {}, {})

    def _arrived(self, table: Table) -> None:
        self._reveal(True)
        self.show(table)

    def _failed(self, why: str) -> None:
        self._reveal(False)
        self.caption("There is nothing to show.")

    def _cancelled(self) -> None:
        self.caption(CANCELLED if self.table is not None else "Cancelled. Choose again to go on.")

    def _reveal(self, visible: bool) -> None:
        for layout in self.layouts:
            layout.visible = visible
