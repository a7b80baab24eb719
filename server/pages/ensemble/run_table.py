"""The runs as a table: what each cannot be used for, and why; ticked rows are looked at one by one.

Runs that diverged, are unfinished, lack something or cannot be read come first: none is left out silently.
"""

from functools import partial

import numpy as np
from bokeh.models import DataTable, Select, StringFormatter, TableColumn

from gdlab.messages import counted
from gdlab.records import Table
from server.pages.ensemble.panel import Panel, view_of
from server.pages.ensemble.selection import MOST_FOCUS
from server.ui import card, sheets
from server.ui.choices import button, look
from server.ui.tables import data_table

PAGES = {"descent": "Descent", "surface": "Surface", "tracker": "Classes & layers", "insides": "Insides"}
COLUMNS = {
    "name": ("Run", 330), "selections": ("Selections", 130), "P1": ("P1", 70), "P2": ("P2", 70),
    "P3": ("P3", 70), "state": ("State", 90), "note": ("Cannot be used for everything, since", 420),
}  # fmt: skip
ROWS = 10


class RunTable(Panel):
    """root: the card. Rows are in the order of `self.rows`: noted runs first, then by P1."""

    def __init__(self, shared):
        super().__init__(shared, "ensemble_notes")
        self._quiet = False
        self.rows = np.empty(0, int)
        self.table_source = self.source("rows", *COLUMNS)
        self.table = self._table_model()
        self.which, self.buttons = self._links()
        self.words = card.text("", "gd-caption", name=f"{self.name}_words")
        context = self.context
        row = card.row(context, self.which, *self.buttons, self.words, classes=["gd-options-row"])
        body = card.box(context, row, self.table, classes=["gd-body"])
        self.root = card.card(
            context, "Notes and runs", "", body, read="notes", name=self.name, csv=self._rows
        )
        for event in ("measures", "selection", "focus"):
            context.on(event, self.update)
        self.table_source.selected.on_change("indices", lambda attr, old, new: self._ticked(new))

    def update(self) -> None:
        """Rows, what is ticked, and the links of the first of these."""
        shared, ensemble = self.shared, self.shared.ensemble
        notes = shared.notes
        noted = np.array([bool(note) for note in notes])
        accuracy = shared.measures["P1"]
        self.rows = np.lexsort((-np.nan_to_num(accuracy, nan=-1.0), ~noted))
        broken = list(shared.broken.items())
        runs = self.rows
        data = {
            "name": [ensemble.names[i] for i in runs] + [name for name, _ in broken],
            "selections": [self._inside(int(i)) for i in runs] + [""] * len(broken),
            "state": [str(ensemble.state[i]) for i in runs] + ["unreadable"] * len(broken),
            "note": [notes[i] for i in runs] + [why for _, why in broken],
        }
        for name, values in shared.measures.items():
            data[name] = [f"{v:.4f}" if np.isfinite(v) else "–" for v in values[runs]] + ["–"] * len(broken)
        self._quiet = True
        self.table.height = 30 + 26 * min(max(len(data["name"]), 1), ROWS)
        if data != self.table_source.data:
            self.table_source.data = data
        place = {int(run): row for row, run in enumerate(runs)}
        self.table_source.selected.indices = [place[run] for run in shared.focus()]
        self._quiet = False
        self._offer()
        self._say(noted, len(broken))

    def _say(self, noted, broken: int) -> None:
        count, every = int(noted.sum()), self.shared.count
        measures = self.shared.measures
        missing = {name: int((~np.isfinite(values)).sum()) for name, values in measures.items()}
        lacking = [f"{n:,} {'has' if n == 1 else 'have'} no {name}" for name, n in missing.items() if n]
        if count:
            words = f"{count:,} of {counted(every, 'run')} cannot be used for everything"
        else:
            all_of_them = {1: "The run", 2: "Both runs"}.get(every, f"All {counted(every, 'run')}")
            words = f"{all_of_them} can be used for everything"
        words = f"{words}: {', '.join(lacking)}." if lacking else f"{words}."
        if broken:
            words += f" {broken:,} {'more' if every else ''} cannot be read at all."
        diverged = int((self.shared.ensemble.state == "diverged").sum())
        if diverged:
            whose = (
                "it had last counts, so that its" if diverged == 1 else "they had last counts, so that their"
            )
            words += f" {diverged:,} diverged: what {whose} P3 is high."
        card.retitle(self.root, caption=words + f" Tick up to {MOST_FOCUS} to look at them.")

    def _inside(self, run: int) -> str:
        choices = self.shared.selections.choices
        return ", ".join(c.name for c, has in zip(choices, self.shared.chosen, strict=True) if has[run])

    # -- the runs looked at -----------------------------------------------------------------------

    def _ticked(self, indices: list[int]) -> None:
        if self._quiet:
            return
        keys = [self.shared.keys[int(self.rows[i])] for i in indices if 0 <= i < len(self.rows)]
        old = self.shared.selections.focus
        kept = [key for key in old if key in keys]
        new = [key for key in keys if key not in old]
        focus = tuple([*reversed(new), *kept][:MOST_FOCUS])
        self.shared.select(self.shared.selections._replace(focus=focus))

    def _links(self):
        which = Select(
            options=[], width=330,
            **look(self.context, f"{self.name}_which", "The run that the buttons open"),
        )  # fmt: skip
        context = self.context
        buttons = [
            button(
                context,
                title,
                f"{self.name}_{page}",
                f"{title} of this run",
                partial(self._open, page),
                align="end",
            )
            for page, title in PAGES.items()
        ]
        return which, buttons

    def _offer(self) -> None:
        names = [self.shared.ensemble.names[i] for i in self.shared.focus()]
        self.which.options = names
        self.which.value = names[0] if names else ""
        self.which.visible = bool(names)
        for each in self.buttons:
            each.visible = bool(names)
        self.words.text = "" if names else "Tick a run, or click one in any view, for the links to its pages."

    def _open(self, page: str) -> None:
        if self.which.value:
            self.context.open_runs([self.which.value], page)

    # -- models -----------------------------------------------------------------------------------

    def _table_model(self) -> DataTable:
        columns = [
            TableColumn(field=field, title=title, width=width, formatter=StringFormatter())
            for field, (title, width) in COLUMNS.items()
        ]
        return data_table(
            self.table_source, columns, name=f"{self.name}_table",
            selectable="checkbox", autosize_mode="none", row_height=26,
            height=30 + 26 * ROWS, sizing_mode="stretch_width", scroll_to_selection=False,
            css_classes=["gd-small-table"], stylesheets=[self.context.sheet, sheets.sheet("curve")],
        )  # fmt: skip

    def _rows(self) -> Table:
        """For CSV: as shown."""
        columns = {name: np.array(values) for name, values in self.table_source.data.items()}
        return Table(columns, dict.fromkeys(columns, ("run",)), {})


build = view_of(RunTable)
