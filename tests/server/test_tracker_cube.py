"""The cube's geometry against a plain loop over its pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.pages.tracker.correlation.layout import blocks
from server.pages.tracker.correlation.solid import Solid, front, right, roomy, top

SOLID = Solid(width=60, height=40, depth=30, skew=40)
ROWS, COLUMNS = blocks([0, 0, 1], [1, 2, 3]), blocks([0, 1, 1, 1], np.ones(4))


@given(
    st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(5, 85), st.sampled_from(["front", "right", "top"])
)
def test_a_point_of_a_face_is_found_again(first, second, skew, face):
    solid = SOLID._replace(skew=skew)
    given = {
        "front": {"along": first, "down": second},
        "right": {"back": first, "down": second},
        "top": {"along": first, "back": second},
    }[face]
    found, *place = solid.place(*solid.point(**given))
    assert found == face
    assert place == pytest.approx([first, second], abs=1e-9)


def test_outside_is_no_face():
    dx, dy = SOLID.edge
    for x, y in ((-1, 5), (5, -1), (60 + dx + 1, 20), (1, 40 + dy - 1), (60 + dx - 1, 1)):
        assert SOLID.place(x, y)[0] is None


def pixel(lines, share):
    """The line that a share of the extent falls on, or None: a plain loop."""
    at = share * lines.end
    for i in range(len(lines.low)):
        if lines.low[i] <= at < lines.high[i]:
            return i
    return None


def test_the_pictures_show_the_values_where_their_points_lie():
    rng = np.random.default_rng(0)
    changes, rates, cells = rng.random((3, 7)), rng.random((4, 7)), rng.random((3, 4))
    cells[1, 2] = np.nan
    pictures = {
        "front": (front(SOLID, ROWS, changes), 0.0, 0.0),
        "right": (right(SOLID, ROWS, COLUMNS, cells), SOLID.width, 0.0),
        "top": (top(SOLID, COLUMNS, rates), 0.0, SOLID.height),
    }
    for face, (picture, x, y) in pictures.items():
        right_ones = known = 0
        for row in range(picture.shape[0]):
            for column in range(picture.shape[1]):
                found, first, second = SOLID.place(x + column + 0.5, y + row + 0.5)
                if found != face:
                    continue
                shown = picture[row, column]
                down, back = pixel(ROWS, second), pixel(COLUMNS, first if face == "right" else second)
                dump = min(int(first * 7), 6)
                if face == "front":
                    wanted = np.nan if down is None else changes[down, dump]
                elif face == "right":
                    wanted = np.nan if down is None or back is None else cells[down, back]
                else:
                    wanted = np.nan if back is None else rates[back, dump]
                known += 1
                right_ones += np.array_equal(shown, wanted, equal_nan=True)
        assert known > 500
        assert right_ones / known > 0.85  # a slanted edge has no whole pixels
        if face == "front":
            assert right_ones == known


def test_thin_lines_are_widened():
    lines = blocks([0, 0, 1], [1, 1, 98])
    wide = roomy(lines, 100, least=8)
    assert (wide.high - wide.low).min() >= 8
    assert wide.end > 100
    assert (wide.high[:-1] <= wide.low[1:] + 1e-9).all()
    assert wide.block_low.tolist() == [wide.low[0], wide.low[2]]
    assert wide.block_high.tolist() == [wide.high[1], wide.high[2]]
    same = roomy(lines, 100, least=0)
    assert same.low == pytest.approx(lines.low * 100 / lines.end)
