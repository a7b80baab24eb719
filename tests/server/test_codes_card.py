"""Cards show what was asked for last, in whatever order the worker answers, and nothing where it failed."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.document import Document

from gdlab.records import Table
from server.core.address import UrlState
from server.core.context import Context
from server.core.mailbox import Mailbox
from server.pages.insides.weights import Filters
from server.ui import sheets
from server.views import galaxy
from tests.server.test_query import Worker


def codes(k: int) -> Table:
    """What the probe answers about iteration k: codes around k."""
    columns = {"code": k + np.linspace(0, 1, 8), "label": np.repeat([0, 1], 4), "x": np.eye(8)[:, :2]}
    return Table(columns, {}, {"iteration": k, "accuracy": 0.5})


@pytest.fixture
def context(tmp_path):
    run = SimpleNamespace(
        path=tmp_path, key="a", config={"model": {"code": 1}}, rows=lambda name: 30, arrays=("scalars",),
        summary=lambda: {"best_loss": 1.0},
    )  # fmt: skip
    doc = Document()
    return Context(
        root=tmp_path, doc=doc, mail=Mailbox(doc), cache=SimpleNamespace(run=lambda name: run),
        state=UrlState({}), worker=Worker(), download=None, open_runs=None, selected=("galaxy",),
    )  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_codes_are_those_of_the_iteration_that_was_chosen_last(context, order):
    view = galaxy.build(context)
    for k in (5, 6, 7):
        context.iteration = k
    jobs = context.worker.asked
    assert [job.options["iteration"] for job in jobs] == [30, 5, 6, 7]
    for i in order:
        jobs[i].on_done(codes(jobs[i].options["iteration"]))
    root = view.root.children[0]
    assert root.children[0].children[0].children[1].text.startswith("Codes at iteration 7.")
    drawn = root.select_one({"name": "galaxy_0_bars_0"}).data
    assert (drawn["left"][0], drawn["right"][-1]) == (7.0, 8.0)


def test_codes_that_failed_are_not_shown_and_may_be_asked_for_again(context):
    view = galaxy.build(context)
    context.worker.asked[0].on_done(codes(30))
    pair = view.root.select_one({"name": "galaxy_0_histogram"})
    context.iteration = 3
    context.worker.asked[1].on_error("no memory")
    root = view.root.children[0]
    assert root.children[0].children[0].children[1].text == "There is nothing to show."
    assert not root.children[1].children[0].visible and pair.visible
    view.update()
    assert len(context.worker.asked) == 3
    context.worker.asked[2].on_done(codes(3))
    assert root.children[1].children[0].visible


def test_filters_that_failed_are_words_alone(context):
    card = Filters(context, sheets.sheet("curve", "network"))
    kernel = np.ones((3, 3, 1, 2))
    for k, answer in enumerate((None, Table({"conv1": kernel}, {}, {}), None)):
        card.ask(context.cache.run("a"), k)
        job = context.worker.asked[-1]
        _ = job.on_error("no data") if answer is None else job.on_done(answer)
        assert card.mosaic.figure.visible == (answer is not None)
        said = card.root.children[0].children[0].children[1].text
        assert (said == "There is nothing to show.") == (answer is None)
