"""The ensemble's page without a browser: every card, what the browser may say, what is told."""

import importlib
import json
from types import SimpleNamespace

import make_ensemble
import numpy as np
import pytest
from bokeh.document import Document

from gdlab.analysis import ensemble as ensembles
from gdlab.analysis import performance
from gdlab.messages import counted
from server.core import threads
from server.core.address import UrlState
from server.core.context import Context
from server.core.mailbox import Mailbox
from server.core.palette import DARK, LIGHT
from server.core.runs_cache import RunsCache
from server.pages.ensemble import selection
from server.pages.ensemble.head import Head
from server.pages.ensemble.heat import Heat, heat, levels
from server.pages.ensemble.selection import Choice, Selections
from server.pages.ensemble.shared import shared
from server.shell import pages
from server.ui import csvtext, figures

PANELS = {
    "parallel": "Parallel", "heat_map": "HeatMap", "pairs": "Pairs", "loss_accuracy": "LossAccuracy",
    "filter_bar": "FilterBar", "similarity": "Similarity", "correlation_graph": "CorrelationGraph",
    "correlation_maps": "CorrelationMaps", "ranks": "Ranks", "importance_bars": "Importance",
    "run_table": "RunTable",
}  # fmt: skip


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(threads, "in_thread", lambda work, name: work())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("ensemble")
    make_ensemble.grid(root, size=3, times=4)
    step = np.array([0, 33])
    config = make_ensemble.configuration
    make_ensemble.write(
        root / "sweep/wild", config(100, learning_rate=0.9, momentum=0.3, decay=0.1),
        make_ensemble.validation(step, 0.3), state="diverged",
    )  # fmt: skip
    (root / "sweep/odd").mkdir()
    (root / "sweep/odd/run.json").write_text("{")
    return root


class Page:
    """A page's context whose callbacks arrive when `run` is called; opened: what was asked to be opened."""

    def __init__(self, root, **query):
        self.doc, self.opened = Document(), []
        self.mail = Mailbox(self.doc)
        texts = {key: [value] if isinstance(value, str) else value for key, value in query.items()}
        self.state = UrlState({key: [text.encode() for text in values] for key, values in texts.items()})
        self.context = Context(
            root=root, doc=self.doc, mail=self.mail, cache=RunsCache(root), state=self.state, worker=None,
            download=None, open_runs=lambda names, page=None: self.opened.append((names, page)),
        )  # fmt: skip
        self.shared = shared(self.context)
        self.run()

    def run(self):
        while self.mail.deliver():
            pass

    def panel(self, module):
        panel = getattr(importlib.import_module(f"server.pages.ensemble.{module}"), PANELS[module])(
            self.shared
        )
        panel.update()
        self.run()
        return panel


def caption(panel):
    return panel.root.children[0].children[0].children[1].text


@pytest.fixture
def page(root):
    return Page(root, ens_folder="sweep")


def test_the_runs_are_read_and_what_cannot_be_is_told(page):
    assert page.shared.count == 10
    assert list(page.shared.broken) == ["sweep/odd"]
    names = [axis.name for axis in page.shared.axes]
    assert names == ["learning_rate", "momentum", "decay", "P1", "P2", "P3"]


@pytest.mark.parametrize("module", PANELS)
def test_every_card_is_built_and_has_its_table(page, module):
    page.panel("filter_bar")
    panel = page.panel(module)
    assert caption(panel)
    table = next(
        (getattr(panel, name) for name in ("_table", "_rows") if callable(getattr(panel, name, None))), None
    )
    if table is not None:
        assert csvtext.dumps(table()).count("\n") > 2
    # Everything that the browser draws from can be sent.
    page.doc.add_root(panel.root)
    assert page.doc.to_json()


def test_views_name_what_they_leave_out(page):
    page.panel("filter_bar")
    assert "1 without these hyper-parameters" not in caption(page.panel("heat_map"))
    assert "1 run" in caption(page.panel("filter_bar")) or "1 did not" in caption(page.panel("filter_bar"))
    assert "Left out: 1" in caption(page.panel("similarity"))
    notes = page.panel("run_table")
    assert "1 more cannot be read" in caption(notes) and "1 diverged" in caption(notes)
    rows = notes.table_source.data
    assert rows["name"][0] == "sweep/wild" and "diverged" in rows["note"][0]
    assert rows["name"][-1] == "sweep/odd" and rows["state"][-1] == "unreadable"
    # So few runs, and a decay that one of them has alone: a forest foretells nothing.
    assert "do not tell what P1 and P2 hang on" in caption(page.panel("importance_bars"))


def test_head_and_notes_count_the_same_runs_and_each_has_its_reason(page):
    head, notes = Head(page.shared), page.panel("run_table")
    for times in ({}, {"t": int(page.shared.ensemble.step[0])}):
        page.shared.set_times(**times)
        page.run()
        rows = notes.table_source.data
        noted = sum(bool(note) for note in rows["note"]) - len(page.shared.broken)
        assert f"{counted(noted, 'run')} cannot be used for everything" in caption(head)
        assert f"{noted} of 10 runs cannot be used for everything" in caption(notes)
        for note, *measures in zip(rows["note"], rows["P1"], rows["P2"], rows["P3"], strict=True):
            assert note or "–" not in measures


def test_runs_that_lack_a_measure_at_the_chosen_times_are_noted():
    ensemble = SimpleNamespace(note=("", "diverged after iteration 3", "no accuracy recorded", ""))
    measures = {"P1": np.array([1, np.nan, np.nan, np.nan]), "P2": np.array([1, 1, np.nan, np.nan])}
    assert ensembles.notes(ensemble, measures) == [
        "",
        "diverged after iteration 3; no P1 at these times",
        "no accuracy recorded",
        "no P1 and P2 at these times",
    ]


def test_cells_of_one_value_have_no_colour_bar_and_a_colour_that_is_seen(page, monkeypatch):
    panel = page.panel("heat_map")
    assert panel.bar.visible and "in every cell" not in caption(panel)
    monkeypatch.setattr(Heat, "values", lambda heat: np.full(heat.shared.count, 0.25))
    panel.update()
    assert not panel.bar.visible and "It is 0.25 in every cell." in caption(panel)
    assert panel.mapper.low < 0.25 < panel.mapper.high
    monkeypatch.setattr(Heat, "values", lambda heat: np.full(heat.shared.count, np.nan))
    panel.update()
    assert not panel.figure.visible and caption(panel).startswith("No run with ")


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_no_cell_drowns_in_the_card(palette):
    def luminance(colour):
        srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    card = luminance(palette.card) + 0.05
    contrast = [(luminance(colour) + 0.05) / card for colour in palette.cells]
    assert min(max(c, 1 / c) for c in contrast) > 1.35


def test_facets_have_frames_and_the_ends_of_their_axes(page):
    figure = page.panel("pairs").figure
    names = [axis.name for axis in page.shared.axes if not axis.measure and not axis.constant]
    assert len(page.panel("pairs").frames.data["left"]) == len(names) * (len(names) - 1) // 2
    for (ticks, title), shown in ((figure.xaxis, names[:-1]), (figure.yaxis, names[1:])):
        assert sorted(title.major_label_overrides.values()) == sorted(shown)
        ends = {label for name in shown for label in levels(page.shared.axis(name)).labels}
        assert set(ticks.major_label_overrides.values()) <= ends
        cells = [len(levels(page.shared.axis(name)).labels) for name in shown]
        assert len(ticks.ticker.ticks) == sum(min(count, 2) for count in cells)


def test_what_is_cut_says_so():
    assert figures.shortened("conjugate_gradient", 20) == "conjugate_gradient"
    assert figures.shortened("optimizer.line_search.sigma", 12) == "optimi…sigma"


def test_measures_follow_the_times_and_brushes_follow_the_measures(page):
    ensemble = page.shared.ensemble
    page.shared.select(Selections((Choice("good", 0, {"P1": (0.9, None)}),)))
    at_end = page.shared.chosen.sum()
    page.shared.set_times(t=33)
    np.testing.assert_array_equal(page.shared.measures["P1"], performance.accuracy_at(ensemble, 33))
    assert page.state.get("ens_t", 0) == 33
    assert page.shared.chosen.sum() < at_end
    page.shared.set_times(t0=100, t1=33)  # no interval
    assert page.shared.times.t0 <= page.shared.times.t1


def test_the_browser_tells_a_selection_and_an_order(page):
    keys = page.shared.keys
    wanted = Selections((Choice("a", 2, {}, (keys[4],)),), 0, (keys[4],))
    page.shared.hub.data = {**page.shared.hub.data, "state": [selection.dump(wanted)]}
    assert page.shared.selections == wanted and page.shared.chosen[0].nonzero()[0].tolist() == [4]
    assert page.shared.focus() == [4]
    order = ["P1", "momentum", "learning_rate", "P2", "P3", "decay"]
    page.shared.hub.data = {**page.shared.hub.data, "order": [json.dumps(order)]}
    assert [axis.name for axis in page.shared.axes] == order
    assert page.state.get_all("ens_order") == tuple(order)


@pytest.mark.parametrize("data", [{"state": ["["]}, {"state": [None]}, {"order": ["{}"]}, {"order": ["[1]"]}])
def test_what_the_browser_tells_otherwise_is_dropped(page, data):
    before = page.shared.selections
    page.shared.hub.data = {**page.shared.hub.data, **data}
    assert page.shared.selections == before


def test_the_address_brings_everything_back(page, root):
    page.shared.select(Selections((Choice("good", 3, {"P1": (0.9, None)}, (), (page.shared.keys[0],)),)))
    page.shared.set_axis("P2", low=0.5, high=0.9)
    page.shared.set_order(["momentum", "P1"])
    page.shared.set_times(t=33)
    page.shared.filters.set(layer="conv1", threshold=0.5, counted="filters", method="tsne")
    heat(page.shared).choose("momentum", "decay")
    again = Page(root, **{key: list(page.state.get_all(key)) for key in page.state._values})
    assert again.shared.selections == page.shared.selections
    assert (
        again.shared.filters.values() == page.shared.filters.values()
        and again.shared.times == page.shared.times
    )
    assert heat(again.shared).pair == ("momentum", "decay")
    np.testing.assert_array_equal(again.shared.chosen, page.shared.chosen)
    assert [axis[:1] + axis[4:] for axis in again.shared.axes] == [a[:1] + a[4:] for a in page.shared.axes]


def test_a_page_left_and_shown_again_writes_its_address_anew(page):
    page.shared.select(Selections((Choice("good", 0, {"P1": (0.9, None)}),)))
    before = page.state.query()
    page.state.keep(("page",))  # as when another run is opened
    page.context.emit("show")
    assert set(before[1:].split("&")) <= set(page.state.query()[1:].split("&"))
    page.state.update({"ens_folder": None, "ens_match": "wild"})
    page.context.emit("show")
    page.run()
    assert page.shared.ensemble.names == ("sweep/wild",)


def test_the_run_looked_at_leads_to_its_pages(page):
    table = page.panel("run_table")
    table.table_source.selected.indices = [0]
    assert page.shared.focus() == [page.shared.ensemble.names.index("sweep/wild")]
    table._open("descent")
    assert page.opened == [(["sweep/wild"], "descent")]


def test_no_runs_and_one(root, tmp_path):
    empty = Page(tmp_path)
    assert empty.shared.ensemble is None and "no run that can be read" in empty.shared.message
    one = Page(root, ens_match="wild")
    assert one.shared.count == 1
    for module in PANELS:
        one.panel(module)
    assert not one.panel("importance_bars").root.visible and not one.panel("pairs").root.visible
    assert "two hyper-parameters" in caption(one.panel("heat_map"))


def test_the_page_has_its_cards_in_order():
    views = pages.pages()["ensemble"].views
    assert views[0].target == "server.pages.ensemble.head.build" and len(views) == 12
    assert {view.target.split(".")[-2] for view in views[1:]} == set(PANELS)
