"""The cube in a browser: a click on each face selects what lies there, the L shows the same selection."""

import numpy as np
import pytest

from tests.browser.gestures import address, becomes, column, drawn, eventually, in_sight, position, wait

pytestmark = pytest.mark.browser

MODE = {"page": "tracker", "mode": "correlation", "track_window": 2, "track_threshold": 4, "track_top": 6}
APART = 450  # ms; two clicks in a shorter time are a double click


def picture(page, face):
    """The colour numbers of a face [height, width] and its lower left corner (x, y)."""
    width, height = (round(column(page, f"cube_{face}", name)[0]) for name in ("dw", "dh"))
    image = np.ravel(column(page, f"cube_{face}", "image")[0]).reshape(height, width)
    return image, tuple(column(page, f"cube_{face}", name)[0] for name in ("x", "y"))


def click(page, x, y):
    in_sight(page, "correlation_cube")
    page.wait_for_timeout(APART)
    page.mouse.click(*position(page, "correlation_cube", x, y))


def selected(page, name):
    return [int(text) for text in page.evaluate(f"new URLSearchParams(location.search).getAll('sel_{name}')")]


def test_each_face_selects_and_the_shape_keeps_the_selection(visit, dumped):
    page = visit(dumped, run="digits", **MODE)
    drawn(page, "correlation_grid")
    page.get_by_role("button", name="Cube").click()
    address(page, shape="cube")
    wait(page, "data('cube_right', 'image')[0].length > 1")
    image, (x, y) = picture(page, "right")
    rows, columns = np.nonzero(image == 255)
    at = len(rows) // 2
    click(page, x + columns[at] + 0.5, y + rows[at] + 0.5)

    @eventually(page)
    def one_rectangle():
        assert len(selected(page, "dumps")) == len(selected(page, "classes")) == 1
        assert selected(page, "filters")
        assert len(column(page, "cube_marks", "xs")) == 4  # a row and a column, on two faces each
        assert len(column(page, "cube_dumps", "x0")) == 2

    chosen = {name: selected(page, name) for name in ("dumps", "classes", "filters", "layers")}
    page.get_by_role("button", name="L", exact=True).click()
    becomes(page, "model('correlation_marked').data.dump", chosen["dumps"])
    becomes(page, "model('correlation_rows').data.low.length", 1)
    assert {name: selected(page, name) for name in chosen} == chosen
    page.get_by_role("button", name="Cube").click()
    wait(page, "model('correlation_cube').inner_width > 0")
    click(page, 8.5 / 21 * 620, picture(page, "front")[0].shape[0] - 3)  # the first row
    becomes(page, "new URLSearchParams(location.search).getAll('sel_dumps')", ["8"])
    top, (left, low) = picture(page, "top")
    slanted = top.shape[1] - 620
    click(page, left + slanted / 2 + 12.5 / 21 * 620, low + len(top) / 2)

    @eventually(page)
    def a_class_at_another_dump():
        assert selected(page, "dumps") == [12]
        assert len(selected(page, "classes")) == 1


def test_skew_and_least_sizes_are_settable(visit, dumped):
    page = visit(dumped, run="digits", shape="cube", cube_skew=60, **MODE)
    wait(page, "data('cube_right', 'image')[0].length > 1")
    tall = picture(page, "top")[0].shape[0]
    page.get_by_label("Skew, degrees").fill("20")
    page.keyboard.press("Enter")
    address(page, cube_skew="20")
    wait(page, f"data('cube_top', 'dh')[0] < {tall}")
    flat = picture(page, "top")[0].shape[0]
    page.get_by_label("Columns at least, px").fill("30")
    page.keyboard.press("Enter")
    wait(page, f"data('cube_top', 'dh')[0] > {flat}")
    sets = picture(page, "right")[0]
    page.get_by_role("button", name="Counts").click()

    @eventually(page)
    def shades_of_counts():
        assert set(np.unique(sets)) == {0, 255}
        assert len(np.unique(picture(page, "right")[0])) > 2

    assert "dense2" in column(page, "cube_names", "text")
