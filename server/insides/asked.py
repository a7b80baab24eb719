"""A card's question to the worker: asked anew whenever what it depends on differs, shown when answered."""

from collections.abc import Callable

from bokeh.models import LayoutDOM

from gdlab.records import Table
from server import card


class Asked:
    """progress: to be placed in the card; table: the last answer, or None; caption(words) is told what
    became of a question that has no answer, and layouts are hidden as long as there is none."""

    def __init__(
        self, context, probe: str, show: Callable[[Table], None], caption: Callable[[str], None], *, name: str
    ):
        self.context, self.probe, self.show, self.caption = context, probe, show, caption
        self.layouts: list[LayoutDOM] = []
        self.progress = card.Progress(context, self.cancel, name=f"{name}_progress")
        self.table: Table | None = None
        self._asked: tuple | None = None
        self._job = None

    def ask(self, run, options: dict) -> None:
        """Asks where this is another question than the last one."""
        question = (str(run.path), run.generation, sorted(options.items()))
        if question == self._asked:
            return
        self.drop()
        self._asked = question
        self.progress.show(0.0, self.probe.replace("_", " ").capitalize())
        self._job = self.context.worker.submit(
            run.path,
            self.probe,
            options,
            on_progress=lambda share, words: self.progress.show(share, words[:1].upper() + words[1:]),
            on_done=self._arrived,
            on_error=self._failed,
        )

    def cancel(self) -> None:
        """The reader pressed "Cancel": what was there before stays, and the next choice asks again."""
        self.drop()
        self.caption("Cancelled: what is shown is older. Choose again to go on.")

    def drop(self) -> None:
        """Another question makes this one needless."""
        if self._job is not None:
            self._job.cancel()
        self._job = self._asked = None
        self.progress.done()

    def rows(self) -> Table:
        """The last answer, for CSV."""
        return self.table or Table({}, {}, {})

    def _arrived(self, table: Table) -> None:
        self._job, self.table = None, table
        self.progress.done()
        self._reveal(True)
        self.show(table)

    def _failed(self, message: str) -> None:
        self._job = None
        self._reveal(False)
        self.progress.failed(message[:1].upper() + message[1:])
        self.caption("There is nothing to show.")

    def _reveal(self, visible: bool) -> None:
        for layout in self.layouts:
            layout.visible = visible
