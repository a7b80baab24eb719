"""The page that compares optimizers: one axis, validation, numbers, the segments of the chosen run."""

import csv
import io
from pathlib import Path

import make_runs
import numpy as np
import pytest

from gdlab import store
from gdlab.analysis import validation
from tests.browser.gestures import address, becomes, column, drawn, eventually, says, wait
from tests.recording import record

pytestmark = pytest.mark.browser

NAMES = ("digits_sgd", "digits_adam", "digits_cg")
LABELS = ["sgd", "adam", "conjugate_gradient"]


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """The same network and data under three optimizers, and a run that cannot be validated."""
    root = tmp_path_factory.mktemp("optimizers")
    for name in NAMES:
        record(root / name, f"experiment={name}", "train.steps=40")
    record(root / "beale", "problem=beale", "optimizer=adam", "train.steps=20")
    return root


def open_page(visit, folder, *names, page="optimizers", **query):
    found = visit(folder, page=page, run=names, **query)
    drawn(found, "curve_0_figure" if page == "optimizers" else "curve_figure")
    return found


def test_curves_are_overlaid_and_named_by_their_optimizers(visit, digits):
    page = open_page(visit, digits, *NAMES)
    for index, name in enumerate(NAMES):
        run = store.open_run(digits / name)
        losses = set(run.table("steps").columns["loss"])

        @eventually(page)
        def there(index=index, losses=losses):
            assert losses <= set(column(page, f"overlay_{index}_raw", "error"))

    legend = "model('overlay_legend').items.map((item) => item.label.value)"
    becomes(page, legend, LABELS)
    becomes(page, legend.replace("overlay", "validation_loss"), LABELS)


def looks(page, name: str) -> dict:
    """Of a figure with a line per run: its legend's names, its lines' colours, its frame's height, and
    whether every entry of the legend lies above the frame and within the figure."""
    return page.evaluate(
        """(name) => {
          const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name(name + "_figure"))
          const legend = Bokeh.documents[0].get_model_by_name(name + "_legend")
          const entries = Bokeh.index.find_one(legend).entries.map(({el}) => el.getBoundingClientRect())
          const box = view.canvas_view.el.getBoundingClientRect(), frame = view.frame.bbox
          return {
            names: legend.items.map((item) => item.label.value),
            colours: legend.items.map(({renderers: [{glyph}]}) => glyph.line_color.value ?? glyph.line_color),
            height: frame.height,
            inside: entries.every((el) => el.width > 20 && el.left >= box.left && el.right <= box.right + 1
              && el.top >= box.top - 1 && el.bottom <= box.top + frame.top + 1),
          }
        }""",
        name,
    )


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Path:
    """Twenty runs that differ in one option."""
    root = tmp_path_factory.mktemp("many")
    for number in range(20):
        make_runs.make(root / f"a run with a long name, number {number}", sigma=number / 1000, iterations=12)
    return root


@pytest.mark.parametrize("width", [1440, 800])
def test_many_runs_have_a_colour_and_a_name_each_and_leave_the_plot_its_room(visit, many, width):
    names = [f"a run with a long name, number {number}" for number in range(20)]
    page = visit(many, width=width, page="optimizers", run=names[:2])
    drawn(page, "overlay_figure")
    low = {}

    @eventually(page)
    def two():
        low.update(looks(page, "overlay"))
        assert low["inside"] and low["height"] > 150

    page = visit(many, width=width, page="optimizers", run=names)
    drawn(page, "overlay_figure")

    @eventually(page)
    def twenty():
        found = looks(page, "overlay")
        assert found["names"] == [f"sigma {number / 1000:g}" for number in range(20)]
        assert len(set(found["colours"])) == 20
        assert found["inside"] and abs(found["height"] - low["height"]) <= 2


def test_evaluations_are_an_axis(visit, digits):
    page = open_page(visit, digits, *NAMES, axis="evaluations")
    ends = {}
    for index, name in enumerate(NAMES):
        made = np.nansum(store.open_run(digits / name).table("steps").columns["evaluations"])
        wait(page, f"data('overlay_{index}_raw', 'x').length > 0")
        ends[name] = max(column(page, f"overlay_{index}_raw", "x"))
        assert ends[name] == made
        becomes(page, f"data('validation_loss_validation_{index}', 'x').at(-1)", int(made))
    assert ends["digits_cg"] > ends["digits_sgd"] == 40
    becomes(page, "model('curve_0_figure').below[0].axis_label", "evaluations")
    page.get_by_role("button", name="Options").click()
    page.locator("select", has_text="wall time").select_option(label="iteration")
    address(page, axis=None)
    becomes(page, "Math.max(...data('overlay_2_raw', 'x'))", 40)
    becomes(page, "data('validation_loss_validation_2', 'x').at(-1)", 40)


def test_validation_curves_are_the_recorded_rows(visit, digits):
    page = open_page(visit, digits, "digits_adam", "beale")
    found = validation.rows(store.open_run(digits / "digits_adam")).columns
    wait(page, "data('validation_loss_validation_0', 'x').length > 0")
    for kind in ("loss", "accuracy"):
        assert column(page, f"validation_{kind}_validation_0", "value") == list(found[kind])
        assert column(page, f"validation_{kind}_train_0", "value") == list(found[f"train_{kind}"])
        assert column(page, f"validation_{kind}_validation_0", "x") == list(found["iteration"])
    says(page, "validation_caption", "1 of the runs was not validated")


def test_the_table_tells_best_and_last(visit, digits):
    page = open_page(visit, digits, *NAMES)
    becomes(page, "data('reached_rows', 'run')", LABELS)
    for row, name in enumerate(NAMES):
        for key, value in validation.reached(store.open_run(digits / name)).items():
            if key != "last_validation_loss":
                assert column(page, "reached_rows", key)[row] == pytest.approx(value)


def test_the_chosen_run_shows_its_segments(visit, digits):
    page = open_page(visit, digits, *NAMES, x0=3.5, x1=8.5)
    wait(page, "data('curve_0_segments', 'iteration').length > 3")
    adam = store.open_run(digits / "digits_adam").table("steps").columns["loss"]
    page.locator("select", has_text="conjugate_gradient").first.select_option(label="adam")
    address(page, focus="digits_adam", x0="3.5")

    @eventually(page)
    def of_adam():
        k, losses = (column(page, "curve_1_dots", name) for name in ("iteration", "loss"))
        assert len(k) >= 5 and list(adam[np.array(k, int)]) == losses
        numbers, xs, ys = (column(page, "curve_1_segments", name) for name in ("iteration", "xs", "ys"))
        whole = [row for row, k in enumerate(numbers) if xs[row][0] == k]
        assert len(whole) > 3
        for row in whole:  # a segment begins at its dot and runs to twice the step, or to the border
            assert ys[row][0] == pytest.approx(adam[numbers[row]], rel=1e-5)
            assert xs[row][-1] == pytest.approx(min(numbers[row] + 2, 8.5), abs=0.1)

    page.locator("select", has_text="conjugate_gradient").first.select_option(label="sgd")
    address(page, focus="digits_sgd")
    sgd = store.open_run(digits / "digits_sgd").table("steps").columns["loss"]

    @eventually(page)
    def of_sgd_again():
        k, losses = (column(page, "curve_0_dots", name) for name in ("iteration", "loss"))
        assert len(k) >= 5 and list(sgd[np.array(k, int)]) == losses


def test_segments_on_the_training_set_are_others(visit, digits):
    page = open_page(visit, digits, *NAMES, x0=3.5, x1=8.5)
    wait(page, "data('curve_0_segments', 'iteration').length > 3")
    before = column(page, "curve_0_segments", "ys")
    page.get_by_role("button", name="Options").click()
    page.locator("select", has_text="training set").select_option(label="training set")
    address(page, on="train")
    says(page, "curve_0_caption", "the error on the training set")

    @eventually(page)
    def others():
        after = column(page, "curve_0_segments", "ys")
        assert len(after) > 3 and after[0][0] != before[0][0]


def test_line_searches_are_counted_where_there_are_some(visit, digits):
    page = open_page(visit, digits, *NAMES)
    becomes(page, "data('measures_rows', 'run').length", 1)
    evaluations = store.open_run(digits / "digits_cg").table("steps").columns["evaluations"][:-1]
    assert column(page, "measures_rows", "evaluations")[0] == pytest.approx(evaluations.mean())
    page = open_page(visit, digits, *NAMES[:2])
    wait(page, "model('reached_table') != null")
    wait(page, "model('measures').visible === false")


def test_the_descent_page_shows_validation_too(visit, digits):
    page = open_page(visit, digits, "digits_cg", page="descent")
    rows = validation.rows(store.open_run(digits / "digits_cg")).columns
    becomes(page, "data('validation_accuracy_validation_0', 'value').length", len(rows["loss"]))
    assert column(page, "validation_accuracy_validation_0", "value") == list(rows["accuracy"])


def test_validation_is_saved_as_csv(visit, digits):
    page = open_page(visit, digits, *NAMES)
    drawn(page, "validation_loss_figure")
    page.wait_for_function("gdlab.settled()", polling=250)
    page.locator(".gd-menu-validation .bk-btn").click()
    with page.expect_download() as download:
        page.locator(".gd-menu-validation .bk-item", has_text="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    wanted = validation.rows(store.open_run(digits / "digits_adam")).columns["accuracy"]
    assert [float(row["accuracy"]) for row in rows if row["run"] == "digits_adam"] == list(wanted)
