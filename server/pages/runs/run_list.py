"""All runs under the folder: found by a regular expression, sorted by what matters, opened by a click.

The list comes from the commit records alone, no array is read. Sorting happens in the browser, filtering
on the server, in linear time; a pattern keeps applying to runs that appear later. A run that cannot be read
stands in the list with its error. What is ticked is what the tabs show: there is one choice of runs, that of
the address.
"""

import math

import numpy as np
from bokeh.models import (
    BooleanFilter,
    CDSView,
    CheckboxGroup,
    ColumnDataSource,
    DataTable,
    TextInput,
)

from gdlab.messages import counted
from gdlab.records import Table
from server.core import hyper, patterns, run_groups
from server.core.context import MAX_SELECTED, Context, View
from server.pages.runs import columns
from server.ui import card, sheets
from server.ui.choices import button, look, opener
from server.ui.tables import data_table

MAX_PARAMETERS = 8  # columns of hyper-parameters; the rest is found by the filter

EMPTY = """There are no runs in this folder yet. Record one:

python -m gdlab experiment=rosenbrock hydra.run.dir={root}/rosenbrock

It appears here by itself."""


def build(context: Context) -> View:
    """The run list, or how to get a first run; selecting runs and opening them."""
    return RunList(context).view()


class RunList:
    """The list of one page. Rows keep their order between refreshes: new runs are added at the end."""

    def __init__(self, context: Context):
        self.context = context
        self.names: list[str] = []
        self.parameters: list[str] = []
        self.texts: list[str] = []  # what the filter looks into, run by run
        self._quiet = False  # whether ticks change by the program, not by the reader
        self.source = ColumnDataSource(name="runs_source")
        self.message = card.text("", "gd-caption", name="filter_message")
        self.pattern = TextInput(
            value=context.state.get("filter", ""),
            value_input=context.state.get("filter", ""),
            placeholder="Filter by regular expression: name, state, sigma=0.05 …",
            max_length=patterns.MOST_PATTERN,
            **look(context, "filter", "Shows the runs in which it is found (/)", "gd-filter"),
        )
        self.matches = BooleanFilter(name="runs_matches")  # None: all
        self.table = self._table()
        self.open = button(
            context, "Open descent", "runs_open", "Of the ticked runs", disabled=True, classes=["gd-primary"]
        )
        self.compare = button(
            context, "Compare", "runs_compare", "The ticked runs side by side", disabled=True
        )
        self.ensemble = button(
            context, "Ensemble", "runs_ensemble", "Of the ticked runs, or of those in the list", disabled=True
        )
        self.clear = button(context, "Clear", "runs_clear", "Tick none", disabled=True)
        self.choose = CheckboxGroup(
            inline=True,
            visible=False,
            **look(context, "runs_columns", "Columns that are shown", "gd-checks"),
        )
        self.empty = card.empty_card(context, "No runs", EMPTY.format(root=context.root), name="runs_empty")
        self.card = self._card()
        self._listen()
        self.update()

    def view(self) -> View:
        """What the page shows and refreshes."""
        return View(card.grid(self.context, self.card, self.empty, name="runs"), self.update)

    # -- data -------------------------------------------------------------------------------------

    def update(self) -> None:
        """Reads the listing again; selection, filter, sorting and widths stay."""
        listed = dict(self.context.cache.listing().runs)
        known = [name for name in self.names if name in listed]
        new = sorted(listed.keys() - set(known), key=lambda name: _started(listed[name]), reverse=True)
        chosen = set(self._ticked()) if self.names else set(self.context.state.get_all("run"))
        self.names = known + new
        summaries = [listed[name] for name in self.names]
        describe = self.context.cache.described
        flat = [
            describe(n, s) if isinstance(s, dict) else {} for n, s in zip(self.names, summaries, strict=True)
        ]
        readable = [found for found, s in zip(flat, summaries, strict=True) if isinstance(s, dict)]
        parameters = hyper.telling(readable, MAX_PARAMETERS)
        cells = columns.data(self.names, summaries, parameters, flat=flat)
        self.texts = cells.pop("search")
        self.source.data = cells
        self._match()
        self._tick(chosen)
        if parameters != self.parameters or not self.table.columns:
            self.parameters = parameters
            self.table.columns = columns.columns(parameters, cells)
            self.choose.labels = columns.titles(parameters)
            self._hide(self.context.state.get_all("hide"))
        self.card.visible, self.empty.visible = bool(self.names), not self.names
        self._offer_ensemble()

    def csv(self) -> Table:
        """The whole list with every hyper-parameter that differs."""
        data = {name: np.asarray(values) for name, values in self.source.data.items()}
        return Table(data, dict.fromkeys(data, ("run",)), {})

    # -- parts ------------------------------------------------------------------------------------

    def _table(self) -> DataTable:
        table = data_table(
            self.source,
            [],
            view=CDSView(filter=self.matches),
            name="runs_table",
            selectable="checkbox",
            autosize_mode="none",
            scroll_to_selection=False,
            row_height=32,
            sizing_mode="stretch_width",
            css_classes=["gd-table"],
            stylesheets=[self.context.sheet, sheets.sheet("table")],
        )
        return table

    def _card(self):
        more = opener(self.context, "Columns", "runs_choose", "Which are shown", self.choose)
        bar = card.row(
            self.context, self.pattern, self.message, classes=["gd-bar"], sizing_mode="stretch_width"
        )
        body = card.box(self.context, bar, self.choose, self.table, classes=["gd-list"])
        return card.card(
            self.context,
            "Runs",
            f"Everything recorded under {self.context.root}. Tick runs, or click a name to open its descent.",
            body,
            read="runs",
            name="runs_card",
            csv=self.csv,
            controls=[self.clear, self.ensemble, self.compare, self.open, more],
        )

    # -- events -----------------------------------------------------------------------------------

    def _listen(self) -> None:
        self.pattern.on_change("value_input", lambda attr, old, new: self._filtered(new))
        self.source.selected.on_change("indices", lambda attr, old, new: self._selected(new))
        self.choose.on_change("active", lambda attr, old, new: self._chosen(new))
        self.open.on_click(lambda: self._show("descent"))
        self.compare.on_click(lambda: self._show("compare"))
        self.ensemble.on_click(self._show_ensemble)
        self.clear.on_click(lambda: self.source.selected.update(indices=[]))
        self.context.on("show", self._shown)

    def _ticked(self) -> list[str]:
        """Names of the ticked runs: those of the address in its order, then what was ticked since."""
        indices = self.source.selected.indices
        ticked = dict.fromkeys(self.names[i] for i in indices if 0 <= i < len(self.names))
        known = [name for name in self.context.state.get_all("run") if name in ticked]
        return [*known, *(name for name in ticked if name not in known)]

    def _tick(self, names) -> None:
        self._quiet = True
        self.source.selected.indices = [i for i, name in enumerate(self.names) if name in names]
        self._quiet = False

    def _shown(self) -> None:
        """Another page may have chosen other runs."""
        chosen = self.context.state.get_all("run")[:MAX_SELECTED]
        if set(chosen) & set(self.names) != set(self._ticked()[:MAX_SELECTED]):
            self._tick(chosen)

    def _selected(self, indices: list[int]) -> None:
        count = sum(0 <= i < len(self.names) for i in indices)
        if not self._quiet:
            self.context.open_runs(self._ticked(), "runs")
        self._match()
        self.open.disabled = self.clear.disabled = count == 0
        self.compare.disabled = count < 2
        self.open.label = "Open descent" if count < 2 else f"Open {min(count, MAX_SELECTED)} descents"
        self._offer_ensemble()

    def _show(self, page: str) -> None:
        if names := self._ticked():
            self.context.open_runs(names, page)

    def _offer_ensemble(self) -> None:
        """Of the ticked runs; without any, of those that match the filter."""
        count, pattern = len(self.source.selected.indices), self.context.state.get("filter", "")
        self.ensemble.disabled = not self.names or count > run_groups.MOST_NAMES
        self.ensemble.label = f"Ensemble of {count}" if count else f"Ensemble{' of matches' * bool(pattern)}"

    def _show_ensemble(self) -> None:
        """The page reads keys of its own, which stay short; the chosen runs stay chosen."""
        state = self.context.state
        if names := self._ticked():
            state.update(run_groups.Source(run_groups.RUNS, tuple(names)).keys())
        elif pattern := state.get("filter", ""):
            state.update(run_groups.Source(run_groups.MATCH, pattern).keys())
        self.context.open_runs(state.get_all("run"), "ensemble")

    def _filtered(self, pattern: str) -> None:
        self.context.state.set("filter", pattern[: patterns.MOST_PATTERN] or None)
        self._match()
        self._offer_ensemble()

    def _match(self) -> None:
        """Shows the rows that match the filter; all where it is none, and says so."""
        pattern, texts = self.context.state.get("filter", ""), self.texts
        found, bad = None, False
        words = counted(len(texts), "run")
        try:
            if pattern:
                found = patterns.matching(pattern, texts)
                words = f"{sum(found):,} of {counted(len(texts), 'run')}"
        except ValueError as error:
            words, bad = f"{error}; all runs are shown", True
        if len(self.source.selected.indices) > MAX_SELECTED:
            words += f"; the pages show {MAX_SELECTED} of the {len(self.source.selected.indices):,} ticked"
        self.matches.booleans = found
        self.message.update(text=words, css_classes=["gd-caption", *(["gd-bad"] if bad else [])])

    def _hide(self, fields) -> None:
        for column in self.table.columns:
            column.visible = column.field not in fields
        self.choose.active = [i for i, column in enumerate(self.table.columns) if column.visible]

    def _chosen(self, active: list[int]) -> None:
        hidden = [column.field for i, column in enumerate(self.table.columns) if i not in active]
        self._hide(hidden)
        self.context.state.set("hide", hidden)


def _started(summary) -> float:
    return (summary.get("started") or -math.inf) if isinstance(summary, dict) else -math.inf
