"""The ensemble's page in a browser: every gesture once, one selection in all views, in all directions."""

import csv
import io
from pathlib import Path

import make_ensemble
import numpy as np
import pytest

from tests.browser.gestures import (
    address,
    becomes,
    column,
    drawn,
    eventually,
    in_sight,
    position,
    says,
    value,
    wait,
)

pytestmark = pytest.mark.browser

LINES, HEAT, CURVES = "ensemble_parallel_figure", "ensemble_heat_figure", "ensemble_curves_figure"
POINTS, GRAPH = "ensemble_similarity_figure", "ensemble_graph_figure"
SCENE = (
    "gdlab.ensemble.scene({hub: model('ensemble_hub'), runs: model('ensemble_runs'), "
    "axes: model('ensemble_axes')})"
)


@pytest.fixture(scope="session")
def ensemble(tmp_path_factory) -> Path:
    """A grid of 3 x 3 runs, one that diverged, one without accuracy."""
    root = tmp_path_factory.mktemp("ensemble")
    make_ensemble.grid(root, size=3)
    step = np.array([0, 20, 40])
    config = make_ensemble.configuration
    make_ensemble.write(
        root / "sweep/wild", config(100, learning_rate=0.03, momentum=0.3),
        make_ensemble.validation(step, 0.3), correlations=make_ensemble.correlated(step), state="diverged",
    )  # fmt: skip
    rows = np.full((3, 5), np.nan)
    rows[:, 0] = step
    make_ensemble.write(root / "sweep/none", config(100, learning_rate=0.03, momentum=0.6), rows)
    return root


@pytest.fixture
def page(visit, ensemble):
    page = visit(ensemble, page="ensemble")
    drawn(page, LINES, HEAT, CURVES)
    becomes(page, "data('ensemble_parallel_all', 'xs').length", 11)
    return page


def whole(page) -> None:
    """Waits until the last card is there: cards out of sight are built when nothing else is to do."""
    wait(page, "data('ensemble_notes_rows', 'name').length === 11")
    wait(page, "data('ensemble_similarity_points', 'x').length === 10")


def drag(page, figure, start, end):
    """Drags from one data point of a figure to another, in several steps."""
    in_sight(page, figure)
    (x0, y0), (x1, y1) = position(page, figure, *start), position(page, figure, *end)
    page.mouse.move(x0, y0)
    page.mouse.down()
    for share in (0.2, 0.4, 0.6, 0.8, 1):
        page.mouse.move(x0 + share * (x1 - x0), y0 + share * (y1 - y0))
    page.mouse.up()


def click(page, figure, x, y):
    in_sight(page, figure)
    page.wait_for_timeout(450)  # two clicks in a shorter time are a double click
    page.mouse.click(*position(page, figure, x, y))


def pairs(page, source, first, second):
    """Two columns of a source, side by side."""
    return list(zip(column(page, source, first), column(page, source, second), strict=True))


def selected(page) -> list[str]:
    """Names of the runs in the active selection, as the browser sees it."""
    names = column(page, "ensemble_runs", "name")
    mask = value(page, f"Array.from({SCENE}.mask)")
    active = value(page, f"{SCENE}.state.active")
    return sorted(name for name, bits in zip(names, mask, strict=True) if bits >> active & 1)


def shown_everywhere(page, names) -> None:
    """Waits until every view shows these runs as selected."""

    @eventually(page)
    def all_views():
        assert selected(page) == sorted(names)
        assert sorted(column(page, "ensemble_parallel_chosen", "name")) == sorted(names)
        assert set(column(page, "ensemble_curves_loss", "name")) <= set(names)
        points = pairs(page, "ensemble_similarity_points", "name", "size")
        assert {name for name, size in points if size > 10} == set(names) - {"sweep/none"}
        lines = pairs(page, "ensemble_graph_lines", "name", "width")
        assert {name for name, width in lines if width > 1.5} == set(names) - {"sweep/none"}
        rows = pairs(page, "ensemble_notes_rows", "name", "selections")
        assert {name for name, inside in rows if inside} == set(names)


def test_a_brush_selects_in_every_view_and_a_reload_brings_it_back(page, visit, ensemble):
    whole(page)
    drag(page, LINES, (2, 0.93), (2, 1.01))
    wait(page, "location.search.includes('ens_sel')")
    low = value(page, f"{SCENE}.state.selections[0].brushes.P1[0]")
    names, p1 = column(page, "ensemble_runs", "name"), column(page, "ensemble_runs", "v:P1")
    wanted = [name for name, v in zip(names, p1, strict=True) if v is not None and v >= low]
    assert 0 < len(wanted) < 9
    shown_everywhere(page, wanted)
    says(page, "ensemble_count_0", f"{len(wanted)} run")
    dots = list(pairs(page, "ensemble_heat_dots", "x", "y"))
    assert len(dots) == len(wanted)
    query = dict(value(page, "[...new URLSearchParams(location.search)]"))
    again = visit(ensemble, **query)
    whole(again)
    shown_everywhere(again, wanted)


def test_brushes_are_moved_resized_and_taken_away(page):
    drag(page, LINES, (1, 0.2), (1, 0.6))
    becomes(page, f"Object.keys({SCENE}.state.selections[0].brushes).length", 1)
    ends = f"{SCENE}.state.selections[0].brushes.momentum"
    low, high = value(page, ends)
    drag(page, LINES, (1, 0.4), (1, 0.5))

    @eventually(page)
    def moved():
        now = value(page, ends)
        assert now[0] > low and now[1] > high and now[1] - now[0] == pytest.approx(high - low, rel=0.02)

    drag(page, LINES, (1, 0.7), (1, 1.05))
    becomes(page, f"{ends}[1]", None)
    in_sight(page, LINES)
    page.mouse.dblclick(*position(page, LINES, 1.02, 0.05))
    becomes(page, f"Object.keys({SCENE}.state.selections[0].brushes).length", 0)


def test_cells_points_and_lines_select_too(page):
    whole(page)
    runs = column(page, "ensemble_runs", "name")
    click(page, HEAT, 0, 1)
    becomes(page, f"{SCENE}.mask.filter((bits) => bits > 0).length", 1)
    first = selected(page)
    x, y = (column(page, "ensemble_similarity_points", name)[3] for name in "xy")
    click(page, POINTS, x, y)
    point = column(page, "ensemble_similarity_points", "name")[3]
    shown_everywhere(page, sorted({*first, point}))
    # A line of the graph that no other one hides: the topmost at the end.
    ys = column(page, "ensemble_graph_lines", "ys")
    top = max(range(len(ys)), key=lambda i: ys[i][-1])
    name = column(page, "ensemble_graph_lines", "name")[top]
    click(page, GRAPH, column(page, "ensemble_graph_lines", "xs")[top][-1], ys[top][-1])
    now = {*first, point} ^ {name}
    shown_everywhere(page, sorted(now))
    # The run that diverged lies apart on the axis of P1.
    at = runs.index("sweep/wild")
    p1 = value(page, f"data('ensemble_runs', 'v:P1')[{at}]")
    low, high = (
        value(page, f"{SCENE}.axes.find(({{name}}) => name === 'P1').{end}") for end in ("low", "high")
    )
    click(page, LINES, 2, (p1 - low) / (high - low))
    shown_everywhere(page, sorted(now ^ {"sweep/wild"}))


def test_what_is_clicked_is_looked_at_and_leads_to_its_pages(page):
    whole(page)
    wait(page, "data('ensemble_maps_0_image', 'image').length === 1")
    says(page, "ensemble_maps_caption", "best and the worst")
    click(page, HEAT, 0, 0)
    says(page, "ensemble_maps_0_title", "Selection 1")
    says(page, "ensemble_maps_0_words", "filters at iteration 100")
    image = np.array(column(page, "ensemble_maps_0_image", "image")[0], float)
    np.testing.assert_allclose(np.diag(image.reshape(8, 8)), 1, atol=1e-6)
    assert len(column(page, "ensemble_maps_0_tree", "xs")) == 7
    name = value(page, "model('ensemble_notes_which').value")
    in_sight(page, "ensemble_notes_table")
    page.get_by_role("button", name="Descent", exact=True).click()
    address(page, page="descent", run=name, ens_folder=None)
    page.get_by_role("link", name="Ensemble").click()
    address(page, page="ensemble", ens_folder="sweep")
    wait(page, "location.search.includes('ens_pick')")


def test_selections_are_added_renamed_and_removed(page):
    drag(page, LINES, (2, 0.93), (2, 1.01))
    page.get_by_role("button", name="Add selection").click()
    becomes(page, f"{SCENE}.state.active", 1)
    drag(page, LINES, (3, -0.02), (3, 0.5))
    becomes(page, f"Object.keys({SCENE}.state.selections[1].brushes)[0]", "P2")
    field = page.get_by_title("Name of the selection").nth(1).locator("input")
    field.fill("poor")
    field.press("Enter")
    becomes(page, f"{SCENE}.state.selections[1].name", "poor")
    colours = set(column(page, "ensemble_parallel_chosen", "colour"))
    assert len(colours) == 2
    page.get_by_title("Take the selection away").nth(0).locator("button").click()
    becomes(page, f"{SCENE}.state.selections.map(({{name}}) => name)", ["poor"])
    page.get_by_role("button", name="Clear", exact=True).click()
    says(page, "ensemble_selected", "Nothing is selected")
    address(page, ens_sel=None)


def test_axes_are_moved_clamped_hidden_and_made_logarithmic(page):
    drag(page, LINES, (0, 1.1), (1.1, 1.1))
    titles = "model('ensemble_parallel_titles').data.text"
    becomes(page, titles, ["momentum", "learning_rate", "P1", "P2", "P3"])
    page.get_by_role("button", name="Axes").click()
    wait(page, "model('ensemble_axes_options').visible")
    page.get_by_label("Axis").select_option("P1")
    p1 = f"{SCENE}.axes.find(({{name}}) => name === 'P1').low"
    becomes(page, f"model('ensemble_axis_low').value === {p1}", True)  # no longer the other axis's
    field = page.get_by_label("From")
    field.fill("0.9")
    field.press("Enter")
    address(page, ens_axis='["P1",0.9,null,null,null]')
    becomes(page, p1, 0.9)
    page.get_by_label("Axis").select_option("learning_rate")
    becomes(page, "model('ensemble_axis_log').disabled", False)
    page.get_by_role("button", name="Log", exact=True).click()
    becomes(page, "model('ensemble_parallel_titles').data.caption[1]", " (log)")
    page.get_by_role("checkbox", name="P3").uncheck()
    becomes(page, "model('ensemble_parallel_titles').data.text.length", 4)
    page.get_by_role("button", name="→").click()
    becomes(page, titles, ["momentum", "P1", "learning_rate", "P2"])


def test_the_best_are_brushed(page):
    page.get_by_role("button", name="Brush best %").click()
    becomes(page, f"{SCENE}.mask.filter((bits) => bits > 0).length", 1)
    p1 = np.array(column(page, "ensemble_runs", "v:P1"), float)
    names = column(page, "ensemble_runs", "name")
    assert selected(page) == [names[int(np.nanargmax(p1))]]


def test_times_layer_threshold_and_projection_are_chosen(page):
    whole(page)
    before = column(page, "ensemble_runs", "v:P1")
    page.evaluate("Bokeh.documents[0].get_model_by_name('ensemble_t').value_throttled = 2")
    address(page, ens_t="40")
    wait(page, "model('ensemble_parallel_titles').data.caption.includes('accuracy at 40')")
    assert column(page, "ensemble_runs", "v:P1") != before
    page.keyboard.press("ArrowRight")
    address(page, ens_t="60")
    in_sight(page, "ensemble_graph_figure")
    page.get_by_label("Layer").select_option("conv1")
    says(page, "ensemble_graph_caption", "layer conv1 with |r| > 0.7")
    says(page, "ensemble_similarity_caption", "layer conv1")
    field = page.get_by_label("Threshold of |r|")
    field.fill("0.2")
    field.press("Enter")
    says(page, "ensemble_graph_caption", "|r| > 0.2")
    page.get_by_role("button", name="t-SNE").click()
    says(page, "ensemble_similarity_caption", "t-SNE of 10 runs")
    page.evaluate("Bokeh.documents[0].get_model_by_name('ensemble_time').value_throttled = 2")
    says(page, "ensemble_similarity_caption", "at iteration 40")
    address(page, ens_layer="conv1", ens_threshold="0.2", ens_method="tsne", ens_time="40")


def test_nothing_is_left_out_silently(page):
    whole(page)
    says(page, "ensemble_caption", "2 runs cannot be used for everything")
    notes = dict(pairs(page, "ensemble_notes_rows", "name", "note"))
    assert notes["sweep/wild"].startswith("diverged") and "no accuracy" in notes["sweep/none"]
    says(page, "ensemble_notes_caption", "1 has no P1")
    says(page, "ensemble_heat_caption", "1 run without the measure")
    says(page, "ensemble_similarity_caption", "Left out: 1 (another network or no correlations)")
    says(page, "ensemble_ranks_caption", "1 run without an accuracy")


def test_the_table_of_the_lines_has_a_row_per_run(page):
    drag(page, LINES, (2, 0.93), (2, 1.01))
    page.locator(".gd-menu-ensemble_parallel").click()
    with page.expect_download() as download:
        page.get_by_text("CSV", exact=True).click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert len(rows) == 11
    assert {"run", "learning_rate", "momentum", "P1", "P2", "P3", "selections", "note"} <= rows[0].keys()


def test_one_run_and_none_say_so(visit, ensemble):
    page = visit(ensemble, page="ensemble", ens_match="wild")
    says(page, "ensemble_caption", "One run has none to be compared with")
    page = visit(ensemble, page="ensemble", ens_folder="nowhere")
    says(page, "ensemble_caption", "no run that can be read")
    page = visit(ensemble, page="ensemble", ens_match="(")
    says(page, "ensemble_caption", "Not a regular expression")


def test_the_run_list_opens_an_ensemble_of_its_matches(visit, ensemble):
    page = visit(ensemble)
    page.wait_for_selector(".gd-open")
    page.keyboard.press("/")
    page.keyboard.insert_text("momentum=0.3")
    page.get_by_role("button", name="Ensemble of matches").click()
    address(page, page="ensemble", ens_match="momentum=0.3")
    says(page, "ensemble_title", "Ensemble of 4 runs")
