"""The correlation view in a browser: the L of figures, each click once, inactivation, files."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis.dumps import open_dumps
from gdlab.execution.probing import run_probe
from tests.browser.gestures import address, becomes, column, drawn, eventually, in_sight, position, says

pytestmark = pytest.mark.browser

MODE = {"page": "tracker", "mode": "correlation", "track_window": 2, "track_threshold": 4, "track_top": 6}


@pytest.fixture
def page(visit, dumped):
    page = visit(dumped, run="digits", **MODE)
    drawn(page, "correlation_grid", "correlation_strips", "correlation_stripes")
    return page


def rectangle(page, index):
    """Middle of a rectangle on the screen."""
    box = {
        name: column(page, "correlation_cells", name)[index] for name in ("left", "right", "top", "bottom")
    }
    x, y = (box["left"] + box["right"]) / 2, (box["top"] + box["bottom"]) / 2
    return position(page, "correlation_grid", x, y)


def selected(page, name):
    """Positions that the address says are selected."""
    return [int(text) for text in page.evaluate(f"new URLSearchParams(location.search).getAll('sel_{name}')")]


def test_a_rectangle_selects_its_filters_class_and_iteration_everywhere(page, dumped):
    page.mouse.click(*rectangle(page, 0))
    says(page, "correlation_words", ", with")

    @eventually(page)
    def marked():
        assert len(column(page, "correlation_rows", "low")) == 1
        assert len(column(page, "correlation_columns", "low")) == 1
        assert len(column(page, "correlation_marked", "dump")) == 1
        filters, layers = selected(page, "filters"), selected(page, "layers")
        assert filters and len(layers) == len(selected(page, "classes")) == len(selected(page, "dumps")) == 1
        node = open_dumps(store.open_run(dumped / "digits")).nodes[layers[0]]
        assert all(node.first <= f < node.first + node.filters for f in filters)

    says(page, "tracker_selected", "Selected: iteration")
    page.get_by_role("button", name="Clear selection").click()
    says(page, "tracker_selected", "Nothing is selected")
    becomes(page, "model('correlation_rows').data.low.length", 0)


def test_strips_and_stripes_select_rows_classes_and_iterations(page):
    top, bottom = (column(page, "correlation_cells", name)[0] for name in ("top", "bottom"))
    page.mouse.click(*position(page, "correlation_strips", 7, (top + bottom) / 2))
    becomes(page, "model('correlation_marked').data.dump[0]", 7)
    becomes(page, "model('correlation_rows').data.low.length", 1)
    left, right = (column(page, "correlation_cells", name)[0] for name in ("left", "right"))
    in_sight(page, "correlation_stripes")
    page.wait_for_timeout(450)  # two clicks in a shorter time are a double click
    page.mouse.click(*position(page, "correlation_stripes", (left + right) / 2, 11))
    becomes(page, "model('correlation_marked').data.dump[0]", 11)
    address(page, sel_dumps="11")

    @eventually(page)
    def one_class():
        assert len(selected(page, "classes")) == 1


def test_counts_settings_and_an_empty_state(page):
    page.get_by_role("button", name="Counts").click()
    becomes(page, "model('correlation_counts').visible", True)
    counts = column(page, "correlation_cells", "count")
    assert min(counts) >= 1
    page.wait_for_function("gdlab.settled()", polling=250)  # the cells move to make room for the counts
    page.mouse.click(*rectangle(page, int(np.argmax(counts))))

    @eventually(page)
    def of_the_cell():
        assert len(selected(page, "filters")) == max(counts)

    threshold = page.locator(".bk-input[type=text]").nth(1)
    threshold.fill("36")
    threshold.press("Enter")
    becomes(page, "model('correlation').visible", False)
    says(page, "correlation_empty_message", "No class has an anomaly")
    page.get_by_role("button", name="Propose").click()
    becomes(page, "model('tracker_threshold').value < 36", True)


def test_inactivating_filters_shows_what_the_classes_lose(page):
    page.mouse.click(*rectangle(page, 0))
    page.get_by_role("button", name="Inactivate").click()
    says(page, "ablation_words", "without these")
    change = np.array(column(page, "ablation_bars", "change"), float)
    assert len(change) == 10 and (np.abs(change) <= 1).all()
    assert len(column(page, "ablation_controls", "change")) == 30


def test_the_strongest_images_of_the_selected_filters(page, dumped):
    page.mouse.click(*rectangle(page, 0))
    says(page, "correlation_words", ", with")
    page.get_by_role("button", name="Strongest images").click()
    says(page, "strongest_words", "with the largest response of each filter")
    dump, filters = selected(page, "dumps")[0], selected(page, "filters")[:8]
    iteration = open_dumps(store.open_run(dumped / "digits")).iteration
    iterations = [int(iteration[i]) for i in sorted({max(dump - 1, 0), dump})]
    options = {"filters": filters, "iterations": iterations, "count": 6}
    table = run_probe(dumped / "digits", "strongest_images", options)
    position, label = (table.columns[name] for name in ("picture", "label"))
    names = [table.attrs["classes"][label[at]] for at in position.ravel()]

    @eventually(page)
    def before_and_after():
        texts = column(page, "strongest_texts", "text")
        aligned = column(page, "strongest_texts", "align")
        assert [t for t, a in zip(texts, aligned, strict=True) if a == "center"] == names
        assert f"iteration {iterations[0]:,}" in texts
        assert len(column(page, "strongest_images", "image")) == position.size

    page.get_by_role("button", name="Clear selection").click()
    becomes(page, "model('strongest_figure').visible", False)


def test_an_interval_is_looked_at_iteration_by_iteration(page):
    page.mouse.click(*rectangle(page, 0))
    says(page, "between_caption", "again and dumps every iteration")
    page.get_by_role("button", name="Look closer").click()
    says(page, "between_words", "bit for bit")
    dump = column(page, "correlation_marked", "dump")[0]
    start, stop = 3 * (dump - 1), min(3 * (dump + 1), 59)
    assert column(page, "between_errors_0", "iteration") == list(range(start, stop + 1))
    assert all(0 <= value <= 1 for value in column(page, "between_errors_0", "value"))
    page.get_by_role("button", name="Show the images").click()
    becomes(page, "model('tracker_mode').active", 0)
    address(page, mode=None, sel_dumps=str(dump))


def test_the_table_has_a_row_per_rectangle(page):
    wanted = len(column(page, "correlation_cells", "left"))
    page.locator(".gd-menu-correlation").click()
    with page.expect_download() as download:
        page.get_by_text("CSV", exact=True).click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert len(rows) == wanted
    assert {"class", "iteration", "layer", "size", "appearances", "filters"} <= rows[0].keys()


def test_a_run_without_dumps_says_how_to_get_them(visit, dumped):
    page = visit(dumped, page="tracker", run="plain")
    says(page, "tracker_none_message", "record=dumps")
