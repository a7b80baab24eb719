"""Details on demand, the comparison and the statistics in a real browser, by clicks and keys."""

import csv
import itertools

import numpy as np
import pytest

from gdlab import store
from tests.browser.gestures import (
    PLOTS,
    address,
    becomes,
    column,
    drawn,
    eventually,
    middle,
    position,
    says,
    value,
    wait,
    x_range,
)
from tests.browser.sight import without_numbers

pytestmark = pytest.mark.browser


def open_page(visit, trained, *names, page="descent", **query):
    found = visit(trained, run=list(names), page=page, **query)
    drawn(found, "curve_figure" if page == "descent" else "curve_1_figure")
    return found


def wait_iteration(page, k: int) -> None:
    becomes(page, "model('details_title').text", f"Line search at iteration {k}")


def tap(page, k: int, trained) -> None:
    losses = store.open_run(trained / "rosenbrock").table("steps").columns["loss"]
    wait(page, "data('curve_segments', 'xs').length > 10")
    page.mouse.click(*position(page, "curve_figure", k, losses[k]))


def longest(trained) -> int:
    """An iteration whose search enters phase two and has several plots."""
    run = store.open_run(trained / "rosenbrock")
    counts = run.table("steps").columns["evaluations"]
    shrunk = np.unique(
        run.table("evaluations").columns["iteration"][run.table("evaluations").columns["phase"] == 2]
    )
    return int(next(k for k in shrunk if 5 <= counts[k] <= 12))


def test_a_tap_shows_one_plot_per_search_iteration(visit, trained):
    page, k = open_page(visit, trained, "rosenbrock"), longest(trained)
    says(page, "details_caption", "Tap a dot")
    tap(page, k, trained)
    wait_iteration(page, k)
    address(page, k=str(k))
    run = store.open_run(trained / "rosenbrock")
    trace = run.table("evaluations", k, k + 1).columns
    becomes(page, PLOTS, len(trace["eta"]) - 1)
    wait(page, "data('details_0_segment', 'x').length > 20")

    @eventually(page)
    def every_plot_shows_one_step_of_the_search():
        for j in range(len(trace["eta"]) - 1):
            assert column(page, f"details_{j}_current", "x") == [trace["eta"][j]]
            assert column(page, f"details_{j}_next", "x") == [trace["eta"][j + 1]]
            (low,), (high,) = (column(page, f"details_{j}_interval", end) for end in ("x0", "x1"))
            assert low <= trace["eta"][j + 1] <= high
            assert value(page, f"model('details_{j}_badge').text") == str(j + 1)
        anchors = column(page, "details_0_anchors", "y")
        assert anchors[:1] == pytest.approx(run.table("steps").columns["loss"][k : k + 1])

    becomes(page, "Array.from(data('curve_chosen', 'x'))", [k])


def test_arrows_buttons_and_escape(visit, trained):
    page = open_page(visit, trained, "rosenbrock", k=7)
    wait_iteration(page, 7)
    page.keyboard.press("ArrowRight")
    wait_iteration(page, 8)
    page.keyboard.press("ArrowLeft")
    wait_iteration(page, 7)
    page.get_by_role("button", name="‹").click()
    wait_iteration(page, 6)
    page.get_by_role("button", name="›").click()
    wait_iteration(page, 7)
    page.keyboard.press("Escape")
    becomes(page, "model('details_title').text", "Line search")
    becomes(page, "data('curve_chosen', 'x').length", 0)
    becomes(page, PLOTS, 0)


def test_stepping_out_of_the_window_moves_it(visit, trained):
    page = open_page(visit, trained, "rosenbrock", k=10, x0=4, x1=10.5)
    wait_iteration(page, 10)
    page.keyboard.press("ArrowRight")
    wait_iteration(page, 11)
    wait(page, "model('curve_x').start < 11 && model('curve_x').end > 11")


def test_the_values_can_be_copied_and_saved(visit, trained, tmp_path):
    k = longest(trained)
    page = open_page(visit, trained, "rosenbrock", k=k)
    wait_iteration(page, k)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    says(page, "details_values", "phase two, shrink")
    page.get_by_role("button", name="Copy").click()
    page.wait_for_function(
        "navigator.clipboard.readText().then((text) => text.includes('phase two, shrink'))"
    )
    menu = page.locator(".gd-menu-details")
    menu.locator("button").first.click()
    with page.expect_download() as saved:
        menu.get_by_text("CSV", exact=True).click()
    saved.value.save_as(tmp_path / "search.csv")
    rows = list(csv.DictReader((tmp_path / "search.csv").read_text().splitlines()))
    etas = store.open_run(trained / "rosenbrock").table("evaluations", k, k + 1).columns["eta"]
    assert [float(row["eta"]) for row in rows] == etas.tolist()


def test_axes_of_the_plots_are_shared_and_can_be_logarithmic(visit, trained):
    k = longest(trained)
    page = open_page(visit, trained, "rosenbrock", k=k)
    wait_iteration(page, k)
    drawn(page, "details_0", "details_1", "details_2")
    for axis in ("x_range", "y_range"):
        becomes(page, f"new Set([0, 1, 2].map((j) => model(`details_${{j}}`).{axis}.id)).size", 1)
    before = value(page, "model('details_0').x_scale.type") == "LogScale"
    becomes(page, "model('details_logx').active", before)
    page.get_by_role("button", name="Log η").click()
    wanted = "LinearScale" if before else "LogScale"
    wait(page, f"[0, 1, 2].every((j) => model(`details_${{j}}`).x_scale.type === '{wanted}')")


def test_a_search_that_ran_out_twice_is_told_in_pages_of_a_dozen_plots(visit, trained):
    counts = store.open_run(trained / "rosenbrock").table("steps").columns["evaluations"]
    k = int(np.nanargmax(counts))
    assert counts[k] > 20
    page = open_page(visit, trained, "rosenbrock", k=k)
    wait_iteration(page, k)
    run = store.open_run(trained / "rosenbrock")
    trace = run.table("evaluations", k, k + 1).columns
    plots = len(trace["eta"]) - len(set(trace["search"].tolist()))
    becomes(page, PLOTS, 12)
    wait(
        page,
        f"model('details_more').visible && model('details_more').label.startsWith('Plots 1–12 of {plots}')",
    )
    page.get_by_role("button", name="show the next").click()
    wait(page, f"model('details_more').label.startsWith('Plots 13–24 of {plots}')")
    becomes(page, "Array.from(data('details_0_current', 'x'))", [trace["eta"][12]])
    becomes(page, "model('details_0_badge').text", "13")


def test_a_method_without_a_line_search_shows_its_step_and_the_lowest_point(visit, trained):
    page = open_page(visit, trained, "adam", k=4)
    becomes(page, "model('details_title').text", "Step at iteration 4")
    becomes(page, PLOTS, 1)
    wait(page, "data('details_0_segment', 'x').length > 20 && data('details_0_lowest', 'x').length === 1")
    becomes(page, "Array.from(data('details_0_next', 'x'))", [1.0])
    assert max(column(page, "details_0_segment", "x")) == pytest.approx(2.0)
    says(page, "details_0_words", "the step was too short")
    wait(page, "model('details_caption').text.startsWith('J ')")


def test_two_runs_side_by_side_share_their_axes_and_the_tapped_one_is_detailed(visit, trained):
    page = open_page(visit, trained, "galaxy", "rosenbrock", page="compare")
    assert value(page, "model('curve_0_figure').x_range === model('curve_1_figure').x_range")
    assert value(page, "model('curve_0_figure').y_range === model('curve_1_figure').y_range")
    before = x_range(page)
    page.mouse.move(*middle(page, "curve_1_figure", 0.2))
    page.mouse.wheel(0, -400)
    wait(page, f"model('curve_x').end - model('curve_x').start < {0.9 * (before[1] - before[0])}")
    wait(page, "new URLSearchParams(location.search).has('x0')")
    losses = store.open_run(trained / "rosenbrock").table("steps").columns["loss"]
    wait(page, "data('curve_1_segments', 'xs').length > 0")
    page.mouse.click(*position(page, "curve_1_figure", 9, losses[9]))
    wait_iteration(page, 9)
    wait(page, "model('details_caption').text.startsWith('rosenbrock:')")
    becomes(page, "Array.from(data('curve_1_chosen', 'x'))", [9])
    becomes(page, "data('curve_0_chosen', 'x').length", 0)
    rows = column(page, "measures_rows", "run")
    assert sorted(rows) == ["galaxy", "rosenbrock"]
    value(page, "model('measures_y').value = 'loose_share'")
    address(page, measure="loose_share")

    @eventually(page)
    def the_points_are_the_measure_of_the_table():
        shares = column(page, "measures_points", "y")
        assert shares == column(page, "measures_rows", "loose_share") and 0 < max(shares) <= 1

    value(page, "model('measures_x').value = 'ratio'")
    address(page, setting="ratio")
    becomes(page, "Array.from(data('measures_points', 'run'))", ["galaxy"])
    becomes(page, "Array.from(data('measures_points', 'x'))", [20 / 480])
    becomes(page, "model('measures_figure').below[0].axis_label", "K / batch size")
    says(page, "measures_caption", "1 run has no value of K / batch size and no point.")


def test_several_runs_on_one_axis(visit, trained):
    page = open_page(visit, trained, "galaxy", "adam")
    drawn(page, "overlay_figure")
    losses = store.open_run(trained / "adam").table("steps").columns["loss"]
    assert column(page, "overlay_1_raw", "y") == losses.tolist()
    assert value(page, "model('overlay_figure').x_range === model('curve_figure').x_range")
    colours = value(page, "model('overlay_figure').renderers.map((r) => r.glyph.line_color.value)")
    assert len(set(colours)) == 2


def test_statistics_count_what_is_in_view(visit, trained):
    page = open_page(visit, trained, "galaxy", x0=19.5, x1=39.4)
    wait(page, "data('statistics_bars', 'iterations').reduce((a, b) => a + b, 0) === 20")
    becomes(page, "Array.from(data('statistics_rows', 'descent'))", [1])
    page.get_by_role("button", name="Reset").click()
    wait(page, "data('statistics_bars', 'iterations').reduce((a, b) => a + b, 0) === 45")
    becomes(page, "Array.from(data('statistics_rows', 'iterations'))", [20, 20, 5])
    record = store.open_run(trained / "galaxy").table("steps").columns
    page.get_by_role("button", name="Smoothness").click()
    becomes(page, "data('statistics_smoothness', 'x').length", 45)
    smoothness = column(page, "statistics_smoothness", "smoothness")
    assert min(smoothness) > 0 and 1.5 < np.median(smoothness) < 10
    says(page, "statistics_caption", "Median smoothness")
    jump = record["loss"][20] - record["loss_end"][19]
    assert column(page, "statistics_rows", "jump")[1] == pytest.approx(jump)


@pytest.mark.parametrize("width", [1440, 800])
def test_two_runs_that_differ_in_everything_fit_the_page_and_their_frames_align(visit, trained, width):
    page = open_page(visit, trained, "galaxy", "rosenbrock", page="compare", width=width)
    says(page, "curve_1_caption", "numerical noise")
    # As of runs that differ in two dozen numbers, which is too long for a chip.
    value(page, "model('runbar_label_0').setv({text: 'learning_rate 0.123, '.repeat(24)})")

    @eventually(page)
    def nothing_sticks_out():
        assert value(page, "document.documentElement.scrollWidth") <= width
        chips = [box(page, f"runbar_{part}_0") for part in ("name", "label", "state", "remove")]
        for left, right in itertools.pairwise(chips):
            assert left["right"] <= right["left"] and right["right"] <= width

    @eventually(page)
    def frames_align():
        first, second = (box(page, f"curve_{i}_figure") for i in (0, 1))
        side = "top" if width > 800 else "left"
        assert first[side] == pytest.approx(second[side], abs=0.51)
        assert first["height"] == second["height"]


def box(page, name: str) -> dict:
    """The rectangle of a model on the screen."""
    return value(page, f"Bokeh.index.find_one(model('{name}')).el.getBoundingClientRect().toJSON()")


def told(page, k: int, trained) -> None:
    """Waits until title and plots are those of iteration k, on axes with numbers."""
    wait_iteration(page, k)
    trace = store.open_run(trained / "rosenbrock").table("evaluations", k, k + 1).columns
    followed = np.flatnonzero(trace["search"][1:] == trace["search"][:-1])[:12]

    @eventually(page)
    def the_plots_are_those_of_the_title():
        assert value(page, PLOTS) == len(followed)
        current = [list(column(page, f"details_{j}_current", "x"))[:1] for j in range(len(followed))]
        assert current == [[trace["eta"][i]] for i in followed]
        assert without_numbers(page) == []


@pytest.mark.parametrize("k", [20, 21, 22, 23])
def test_searches_that_move_little_are_told_at_their_address(visit, trained, k):
    page = open_page(visit, trained, "rosenbrock", k=k)
    told(page, k, trained)


def test_the_arrow_key_goes_through_all_searches_and_both_axes(visit, trained):
    page = open_page(visit, trained, "rosenbrock", k=17)
    for k in range(17, 24):
        told(page, k, trained)
        page.keyboard.press("ArrowRight")
    for _ in range(2):
        page.get_by_role("button", name="Log J").click()
        wait(page, "model('details_logy').active === (model('details_0').y_scale.type === 'LogScale')")
        told(page, 24, trained)
