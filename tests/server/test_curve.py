"""What a curve sends and asks for, without a browser: windows, clocks, buckets, requests, stories."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.document import Document

from gdlab import store
from gdlab.records import STEP_COLUMNS, TRACE_COLUMNS, Table
from server.core.address import UrlState
from server.core.context import Context
from server.core.mailbox import Mailbox
from server.core.runs_cache import RunsCache
from server.ui.clock import Clock
from server.ui.viewport import Viewport
from server.views.curve import data
from server.views.curve.feed import Feed
from server.views.curve.search_plots import search_plots
from tests.analysis import numpy_descent as reference

STEPS, LENGTH = 12, 4


def write(path, record):
    """A run folder of a NumPy descent."""
    arrays = {
        "scalars": store.ArraySpec(dtype="f8", row_shape=(len(STEP_COLUMNS),), columns=STEP_COLUMNS),
        "ls_eval": store.ArraySpec(dtype="f8", row_shape=(len(TRACE_COLUMNS),), columns=TRACE_COLUMNS),
        "ls_end": store.ArraySpec(dtype="i8", row_shape=()),
    }
    with store.RunWriter.create(path, config={}, identity={}, arrays=arrays, pyramids=("scalars",)) as writer:
        rows = {"scalars": record.scalars, "ls_eval": record.evaluations, "ls_end": record.ends}
        writer.append(rows)
        writer.commit()
        writer.set_status("finished")
    return store.open_run(path)


@pytest.fixture(scope="module")
def record():
    return reference.descend(reference.shifted_bowls, (2.0, 2.0), steps=STEPS, length=LENGTH)


@pytest.fixture(scope="module")
def run(record, tmp_path_factory):
    return write(tmp_path_factory.mktemp("runs") / "bowls", record)


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """Five thousand steps of the same kind, one of them a spike."""
    losses = 1 + np.cos(np.arange(5001) / 300) ** 2 + np.exp(-np.arange(5001) / 500)
    losses[3333] = 99.0
    scalars = np.zeros((5000, len(STEP_COLUMNS)))
    scalars[:, STEP_COLUMNS.index("loss")], scalars[:, STEP_COLUMNS.index("loss_end")] = (
        losses[:-1],
        losses[1:],
    )
    scalars[:, STEP_COLUMNS.index("seconds")] = np.arange(1, 5001) * 0.5
    blank = np.empty((0, len(TRACE_COLUMNS)))
    record = reference.Record(scalars, blank, np.zeros(5000, int), np.empty(0), np.empty(0))
    return write(tmp_path_factory.mktemp("runs") / "long", record)


class Worker:
    """Remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def submit(self, path, probe, options, **callbacks):
        job = SimpleNamespace(options=options, cancelled=False, **callbacks)
        job.cancel = lambda: setattr(job, "cancelled", True)
        self.asked.append(job)
        return job

    def warm(self):
        self.asked.append("warm")


@pytest.fixture
def context(run):
    return Context(
        root=run.path.parent,
        doc=Document(),
        mail=Mailbox(Document()),
        cache=RunsCache(run.path.parent),
        state=UrlState({}),
        worker=Worker(),
        download=lambda name, text: None,
        open_runs=lambda names, page=None: None,
        selected=("bowls",),
    )


def test_few_iterations_are_dots_with_both_values_at_a_change(run, record):
    sent = data.load(run, Clock(run), -1, 100)
    losses = run.table("steps").columns["loss"]
    assert sent.dots["y"].tolist() == losses.tolist() and (sent.start, sent.stop) == (0, STEPS + 1)
    assert sent.before["x"].tolist() == [4, 8]
    ends = record.scalars[[3, 7], STEP_COLUMNS.index("loss_end")]
    assert sent.before["y"].tolist() == ends.tolist()
    assert len(sent.line["x"]) == STEPS + 1 + 2 and ends[0] in sent.line["y"]


def test_a_window_that_begins_at_a_change_still_knows_where_it_came_from(run):
    sent = data.load(run, Clock(run), 8, 12)
    assert sent.dots["iteration"][0] == 8 and sent.before["x"].tolist() == [8]


def test_many_iterations_are_buckets_with_every_spike(long_run):
    sent = data.load(long_run, Clock(long_run), 0, 5000)
    assert len(sent.dots["x"]) == 0 and len(sent.line["x"]) <= 2 * data.BUCKETS + 2
    losses = long_run.table("steps").columns["loss"]
    assert sent.line["y"].max() == 99.0 and sent.line["y"].min() == losses.min()
    whole = data.overview(long_run, Clock(long_run), points=50)
    assert whole["y"].max() == 99.0 and len(whole["x"]) <= 102


def test_smoothing_is_that_of_all_iterations_wherever_the_window_is(long_run):
    losses = long_run.table("steps").columns["loss"]
    total, mass, everything = 0.0, 0.0, []
    for loss in losses:
        total, mass = 0.95 * total + loss, 0.95 * mass + 1
        everything.append(total / mass)
    sent = data.load(long_run, Clock(long_run), 4000, 4400, smoothing=0.95)
    shown = np.array(everything)[sent.start : sent.stop]
    np.testing.assert_allclose(sent.smooth["y"], shown, rtol=1e-3)
    wide = data.load(long_run, Clock(long_run), 0, 5000, smoothing=0.95)
    assert max(wide.smooth["y"]) == pytest.approx(max(everything))


def test_times_place_dots_where_they_were_reached(long_run):
    clock = Clock(long_run, "relative")
    assert clock.x([0, 1, 10]).tolist() == [0.0, 0.5, 5.0]
    start, stop = clock.rows(100.2, 100.9, 5001)
    assert clock.x(start) <= 100.2 and clock.x(stop - 1) >= 100.9 and stop - start <= 5
    wall = Clock(long_run, "wall")
    assert wall.x(2) - wall.x(0) == pytest.approx(1000.0)
    assert Clock(long_run, log=True).x([0, 9]).tolist() == [1, 10]


def test_evaluations_place_dots_where_they_had_been_made(run):
    clock = Clock(run, "evaluations")
    made = run.table("steps").columns["evaluations"][:-1]
    assert clock.label == "evaluations" and clock.x(0) == 0
    for k in (1, 5, len(made)):
        assert clock.x(k) == made[:k].sum()
    start, stop = clock.rows(made[:3].sum(), made[:6].sum(), len(made) + 1)
    assert start <= 3 and stop >= 7


def test_limits_hold_the_ends_of_segments_too(run, record):
    found = data.limits(run)
    columns = record.scalars[:, :2]
    assert (np.nanmin(found), np.nanmax(found)) == (columns.min(), columns.max())


class Member:
    """A curve from 0 to 100 whose values are those of its window."""

    def __init__(self):
        self.drawn = []

    def extent(self):
        return 0.0, 100.0

    def limits(self):
        return np.array([1.0, 100.0])

    def draw(self, low, high):
        self.drawn.append((low, high))
        return np.array([max(low, 1.0), max(high, 2.0)])

    def rescale(self):
        pass


@pytest.fixture
def viewport(context):
    from server.ui import figures

    view = Viewport(context)
    plot = figures.figure("plot", height=200, x_range=view.x_range, y_range=view.y_range)
    view.join(Member(), plot)
    view.start()
    return view


def test_zoom_steps_stay_inside_and_back_leads_back(viewport):
    assert (viewport.x_range.start, viewport.x_range.end) == (-2.0, 102.0)
    viewport.zoom(0.5)
    assert (viewport.x_range.start, viewport.x_range.end) == (24.0, 76.0)
    assert viewport.context.state.get("x0", 0.0) == 24.0
    viewport.zoom(8.0)
    assert viewport.window.x is None
    viewport._changed_at = -math.inf
    viewport.show((10.0, 20.0))
    viewport.back()
    assert viewport.window.x is None and "x0" not in viewport.context.state.query()


def test_the_height_follows_what_is_shown_until_the_reader_chooses_it(viewport):
    viewport.show((10.0, 20.0))
    low, high = viewport.y_range.start, viewport.y_range.end
    assert low < 10 < 20 < high < 30
    viewport._moved(SimpleNamespace(x0=10.0, x1=20.0, y0=3.0, y1=5.0))
    assert (viewport.y_range.start, viewport.y_range.end) == (3.0, 5.0)
    viewport.show((30.0, 40.0), viewport.window.y)
    assert (viewport.y_range.start, viewport.y_range.end) == (3.0, 5.0)
    viewport.reset()
    assert viewport.y_range.end > 100


def test_an_event_that_tells_an_older_fit_is_not_a_choice(viewport):
    old = viewport.y_range.start, viewport.y_range.end
    viewport.show((10.0, 20.0))
    viewport._moved(SimpleNamespace(x0=12.0, x1=22.0, y0=old[0], y1=old[1]))
    assert viewport.window.y is None and viewport.window.x == (12.0, 22.0)


def test_revealing_moves_no_further_than_needed(viewport):
    viewport.show((10.0, 20.0))
    viewport.reveal(15.0)
    assert viewport.window.x == (10.0, 20.0)
    viewport.reveal(60.0)
    assert viewport.window.x == (55.0, 65.0)


def test_scales_change_and_the_address_says_so(viewport):
    assert viewport.scale == "log"
    viewport.error_scale.set("symlog")
    assert viewport.scale == "symlog" and viewport.context.state.get("scale") == "symlog"
    assert (
        viewport.plots[0].yaxis[0].ticker.type == "FixedTicker"
        if hasattr(viewport.plots[0], "type")
        else True
    )
    viewport.error_scale.set("auto")
    assert "scale" not in viewport.context.state.query()


def answer(job, record):
    """What the worker's process would send."""
    start, stop = job.options["start"], job.options["stop"]
    job.on_done(reference.samples(record, reference.shifted_bowls, start, stop, length=LENGTH))


def test_a_feed_asks_once_for_what_is_missing(context, record):
    calls = []
    feed = Feed(context, "bowls", lambda: calls.append(1), name="curve")
    feed.want(2, 8, "batch", at_once=True)
    (job,) = context.worker.asked
    assert job.options == {"start": 2, "stop": 8, "on": "batch"}
    answer(job, record)
    assert calls == [1] and feed.segments(0, STEPS, "batch").columns["iteration"].tolist() == list(
        range(2, 8)
    )
    feed.want(3, 7, "batch", at_once=True)
    assert len(context.worker.asked) == 1
    feed.want(3, 12, "batch", at_once=True)
    assert context.worker.asked[1].options == {"start": 8, "stop": 12, "on": "batch"}
    feed.want(3, 12, "train", at_once=True)
    assert context.worker.asked[1].cancelled and context.worker.asked[2].options["on"] == "train"


def test_a_feed_gives_up_and_says_so(context):
    calls = []
    feed = Feed(context, "bowls", lambda: calls.append(1), name="curve")
    feed.want(0, 4, "batch", at_once=True)
    feed.cancel()
    assert context.worker.asked[0].cancelled and feed.cancelled and calls == [1]
    feed.want(0, 4, "batch", at_once=True)
    context.worker.asked[1].on_error("no memory")
    assert feed.error == "no memory" and not feed.waiting


def nothing():
    return Table({"iteration": np.empty(0, int)}, {}, {})


def test_a_search_has_a_plot_per_step_of_the_search(run, record):
    counts = np.diff(np.concatenate([[0], record.ends]))
    for k in range(len(counts)):
        plots = search_plots(run, k, nothing())
        assert len(plots.contents) == max(1, counts[k] - 1)
        assert plots.x[0] < plots.x[1] and plots.y[0] < plots.y[1]
        assert f"J {record.scalars[k, 0]:.6g}" in plots.caption.replace("−", "-")
        for content in plots.contents:
            if content.following is not None:
                assert plots.x[0] <= content.following <= plots.x[1]


def test_a_search_tells_where_a_descent_begins(run):
    assert "a new descent begins" in search_plots(run, 8, nothing()).caption
    assert "a new descent begins" not in search_plots(run, 9, nothing()).caption


def test_a_logarithmic_axis_is_refused_where_errors_are_not_positive(run, long_run):
    assert not search_plots(long_run, 3, nothing(), log_y=False).log_y
    assert search_plots(run, 3, nothing(), log_x=True).x[0] > 0


def test_a_step_without_a_search_is_one_plot(long_run):
    plots = search_plots(long_run, 3, nothing())
    assert plots.title == "Step at iteration 3" and len(plots.contents) == 1


def searching(trace, **step):
    """A run of one iteration with these values, as far as `tell` asks for them."""
    step = {"loss": 1.0, "loss_end": 1.0, "step_size": 1.0, "status": 0.0, "new_descent": 0.0,
            "restarted": 0.0} | step  # fmt: skip
    tables = {
        "steps": Table({name: np.array([value]) for name, value in step.items()}, {}, {}),
        "evaluations": Table(trace, {}, {}),
    }
    return SimpleNamespace(table=lambda name, *interval: tables[name])


@pytest.mark.parametrize("size", [0.0, 1.0, np.nan, np.inf])
@pytest.mark.parametrize("loss", [0.0, 1.7e308, -1.7e308, np.nan, np.inf, 5e-324])
@pytest.mark.parametrize("log", [None, True, False])
def test_a_search_is_told_of_every_number(size, loss, log):
    blank = {name: np.empty(0) for name in TRACE_COLUMNS}
    two = {name: np.array([np.nan, np.nan]) for name in TRACE_COLUMNS}
    two |= {"search": np.zeros(2), "phase": np.ones(2), "kind": np.zeros(2), "accepted": np.array([0, 1])}
    two |= {"eta": np.array([size, size]), "phi": np.array([loss, 1.0])}
    for trace in (blank, two):
        told = search_plots(searching(trace, loss=loss, step_size=size), 0, nothing(), log, log)
        for low, high in (told.x, told.y):
            assert np.isfinite([low, high, high - low]).all() and low < high
        assert told.y[0] > 0 or not told.log_y
        assert "nan" not in told.caption + told.contents[0].words
