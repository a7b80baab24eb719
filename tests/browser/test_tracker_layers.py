"""The layer view in a browser: opening, unfolding, charts, clicks, marks, the lists."""

import csv
from pathlib import Path

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis.dumps import open_dumps
from server.pages.tracker.layers import pixels
from tests.browser.gestures import address, becomes, column, drawn, eventually, position, says, value, wait

pytestmark = pytest.mark.browser

MODE = {"page": "tracker", "mode": "layers", "run": "digits"}
TWICE = 450  # ms; two clicks in a shorter time are a double click


@pytest.fixture
def dumps(dumped):
    return open_dumps(store.open_run(dumped / "digits"))


@pytest.fixture
def page(visit, dumped):
    def open_page(**query):
        page = visit(dumped, **(MODE | query))
        drawn(page, "layers_figure", "layers_structure_figure")
        return page

    return open_page


def click_label(page, node):
    """Clicks the label of a node's row."""
    at = [i for i, n in enumerate(column(page, "layers_structure_boxes", "node")) if n == node][-1]
    box = {name: column(page, "layers_structure_boxes", name)[at] for name in ("right", "top", "bottom")}
    x, y = position(page, "layers_structure_figure", box["right"] + 12, (box["top"] + box["bottom"]) / 2)
    page.mouse.click(x, y)


def test_a_layer_unfolds_to_filters_that_can_be_selected(page, dumps):
    page = page()
    assert column(page, "layers_values", "label") == ["dense1", "dense2"]
    click_label(page, 1)
    wait(page, "data('layers_pixels', 'image').length === 1")
    address(page, layers_open="1")
    truth = dumps.filter("cosine_distance", 1)
    shown = np.array(column(page, "layers_pixels", "value")[0], float).reshape(10, dumps.count)[::-1]
    np.testing.assert_allclose(shown[:, 1:], truth.T[:, 1:], rtol=1e-6)
    low, high = (column(page, "layers_pixels", name)[0] for name in ("y", "dh"))
    row = low + high * (1 - 2.5 / 10)
    page.mouse.click(*position(page, "layers_figure", 7, row))
    says(page, "tracker_selected", f"iteration {dumps.iteration[7]}; filter dense2 2")
    becomes(page, "data('layers_marked', 'x')[0]", 7)
    becomes(page, "data('layers_filters', 'y').length", 1)  # it is sent after the other
    assert column(page, "layers_filters", "y") == [pytest.approx(row, abs=high / 20)]
    says(page, "layers_caption", "per filter")
    page.get_by_label("Colour scale").select_option(label=pixels.NORMS["dump"])
    says(page, "layers_caption", "per iteration")
    page.get_by_role("button", name="Clear selection").click()
    becomes(page, "data('layers_filters', 'y').length", 0)
    page.wait_for_timeout(TWICE)
    click_label(page, 1)
    becomes(page, "data('layers_pixels', 'image').length", 0)


def test_every_chart_and_the_statistics(page, dumps):
    page = page(layers_statistic="update_ratio", sel_layers=1)
    assert column(page, "layers_strokes", "dash").count("dashed") == 2
    assert len(column(page, "layers_chosen", "top")) == 1
    page.get_by_label("Statistic", exact=True).select_option(label="weights: mean")
    says(page, "layers_caption", "Weights: mean, all rows on one scale")
    shown = np.array([np.ravel(row) for row in column(page, "layers_values", "value")], float)
    np.testing.assert_allclose(shown, dumps.layer("weight_mean").T, rtol=1e-6)
    page.get_by_role("button", name="Horizon").click()
    wait(page, "data('layers_areas', 'xs').length > 0 && data('layers_lines', 'xs').length === 0")
    address(page, layers_chart="horizon")
    colours = set(column(page, "layers_areas", "colour"))
    page.get_by_role("button", name="Theme").click()

    @eventually(page)
    def the_colours_are_those_of_the_theme():
        assert not colours & set(column(page, "layers_areas", "colour"))

    page.get_by_role("button", name="Boxes").click()
    becomes(page, "data('layers_boxes', 'left').length", 2 * dumps.count)
    page.get_by_label("Scale", exact=True).select_option(label="a scale per row")
    says(page, "layers_caption", "each row on its own scale")
    page.get_by_role("button", name="Log", exact=True).click()
    address(page, layers_log="1")


def test_anomaly_filters_only_and_what_is_selected_elsewhere(page, dumps):
    page = page(track_window=2, track_threshold=4, track_top=6, sel_filters=3)
    says(page, "tracker_selected", "filter dense1 3")
    assert "1 of 32 selected" in column(page, "layers_structure_texts", "text")
    page.get_by_text("anomaly filters only").click()
    says(page, "layers_caption", "ordered by mini-set")
    shown = sum(np.array(value).size for value in column(page, "layers_pixels", "value"))
    assert shown % dumps.count == 0 and shown >= dumps.count
    assert value(page, "model('layers_statistic').visible") is False
    page.get_by_text("anomaly filters only").click()
    becomes(page, "data('layers_lines', 'xs').length", 2)


def test_lists_select_their_filters_and_the_rows_are_saved(page, dumps):
    page = page()
    wait(page, "data('restless_rows', 'layer').length > 0")
    says(page, "dead_caption", "gradient is exactly 0")
    names, counts = (column(page, "restless_rows", name) for name in ("layer", "count"))
    page.locator(".gd-small-table .slick-row").get_by_text(names[0], exact=True).first.click()
    says(page, "tracker_selected", f"layer {names[0]}")
    selected = value(page, "new URLSearchParams(location.search).getAll('sel_filters').length")
    assert selected == counts[0]
    with page.expect_download() as saved:
        page.locator(".gd-menu-layers button").first.click()
        page.get_by_text("CSV", exact=True).first.click()
    rows = list(csv.DictReader(Path(saved.value.path()).read_text().splitlines()))
    assert len(rows) == 2 * dumps.count and float(rows[0]["weight_mean"]) == dumps.layer("weight_mean")[0, 0]


def test_dead_filters_are_left_out_and_the_rest_is_saved(visit, dumped):
    page = visit(dumped, **(MODE | {"run": "dying"}))
    wait(page, "data('dead_rows', 'count').length === 1")
    dead = column(page, "dead_rows", "count")[0]
    page.get_by_role("button", name="Leave them out").click()
    says(page, "without_dead_words", f"{2410 - 75 * dead:,} of 2,410 parameters")
    says(page, "without_dead_words", "0 of 359 images get another label")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save .npz").click()
    with np.load(saved.value.path()) as smaller:
        assert smaller["dense1/kernel"].shape == (64, 32 - dead)
        assert smaller["dense2/kernel"].shape == (32 - dead, 10)


def test_nothing_is_offered_where_nothing_is_dead(page):
    page = page()
    says(page, "dead_caption", "None was found")
    assert not page.get_by_role("button", name="Leave them out").is_visible()


def test_a_run_without_dumps_has_no_layers(visit, dumped):
    page = visit(dumped, page="tracker", mode="layers", run="plain")
    says(page, "tracker_none_message", "record=dumps")
    assert value(page, "model('layers') == null")
