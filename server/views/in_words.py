"""What the records say, in words: findings that help on this page, each with the place where it is seen."""

from bokeh.models import Button

from gdlab.findings import Finding, findings
from server.core.context import Context, View
from server.ui import card
from server.ui.choices import look
from server.ui.query import Query

MOST = 3
GROWTH = 1.1  # of the record, from which it is read again: a long one is not read anew at every commit


def build(context: Context, page: str) -> View:
    """Up to MOST sentences about the selected runs; nothing where records support none. page: of which."""
    return _Words(context, page).view


class _Words:
    def __init__(self, context: Context, page: str):
        self.context, self.page = context, page
        self.root = card.box(context, classes=["gd-findings"], name="in_words", visible=False)
        self.query = Query(context, self._show)
        self._rows = -1
        self.view = View(self.root, self.update)
        self.update()

    def update(self) -> None:
        """Reads the records again where they have grown by much, or have ended."""
        runs = [self.context.run(name) for name in self.context.selected]
        rows = sum(run.rows("scalars") for run in runs)
        ended = all(run.state != "running" for run in runs)
        if self.query.waiting or not (rows > GROWTH * self._rows or (ended and rows != self._rows)):
            return
        self._rows = rows
        self.query.compute((rows, ended), lambda: findings(runs, self.page)[:MOST])

    def _show(self, found: list[Finding]) -> None:
        self.root.children = [self._row(index, finding) for index, finding in enumerate(found)]
        self.root.visible = bool(found)

    def _row(self, index: int, finding: Finding):
        words = card.text(finding.text, "gd-finding", name=f"in_words_{index}")
        if not self._elsewhere(finding):
            return card.row(self.context, words, classes=["gd-finding-row"])
        button = Button(
            label="Show", **look(self.context, f"in_words_show_{index}", "Goes there", "gd-quiet")
        )
        button.on_click(lambda: self._go(finding))
        return card.row(self.context, words, button, classes=["gd-finding-row"])

    def _elsewhere(self, finding: Finding) -> bool:
        """Whether its link leads to more than this page as it stands."""
        return finding.link["page"] != self.page or len(finding.link) > 2

    def _go(self, finding: Finding) -> None:
        link = dict(finding.link)
        page, run, k = link.pop("page"), link.pop("run"), link.pop("k", None)
        names = [run] if isinstance(run, str) else list(run)
        if not set(names) <= set(self.context.selected):
            return
        self.context.state.update({key: [str(value)] for key, value in link.items()})
        if k is not None:
            self.context.iteration = k
        if page != self.page:
            self.context.open_runs(self.context.selected, page)
