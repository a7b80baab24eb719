"""CIELAB colours: against published values and the way back from sRGB, written out number by number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis.colours import LIGHTNESS, cielab, legend, positions, to_srgb

# D65, 2 degrees; B. Lindbloom's calculator.
PUBLISHED = (
    ((255, 0, 0), (53.2408, 80.0925, 67.2032)),
    ((0, 255, 0), (87.7347, -86.1827, 83.1793)),
    ((0, 0, 255), (32.2970, 79.1875, -107.8602)),
    ((255, 255, 255), (100.0, 0.0, 0.0)),
    ((0, 0, 0), (0.0, 0.0, 0.0)),
    ((119, 119, 119), (50.0344, 0.0, 0.0)),
)


def lab_of(text):
    """L*, a*, b* of "#rrggbb", by the definitions."""
    linear = []
    for k in (1, 3, 5):
        v = int(text[k : k + 2], 16) / 255
        linear.append(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4)
    r, g, b = linear
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("rgb, lab", PUBLISHED)
def test_published_values(rgb, lab):
    np.testing.assert_allclose(255 * to_srgb(lab), rgb, atol=0.1)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(20, 80))
def test_every_colour_has_the_lightness_and_the_hue_asked_for(a, b, lightness):
    (text,) = cielab(a, b, lightness)
    found = np.array(lab_of(text))
    assert found[0] == pytest.approx(lightness, abs=1)  # a byte of sRGB is a step of up to about 0.7
    wanted = np.array([2 * a - 1, 2 * b - 1])
    chroma = np.hypot(*found[1:])
    if chroma > 20:
        cosine = wanted @ found[1:] / (chroma * np.hypot(*wanted))
        assert cosine > 0.99


def test_the_corners_are_those_of_the_papers_legend():
    low, high, red, green = cielab([0, 1, 1, 0], [0, 1, 0, 1])
    for text, (a, b) in ((low, (-1, -1)), (high, (1, 1)), (red, (1, -1)), (green, (-1, 1))):
        found = lab_of(text)
        assert np.sign(found[1]) == a and np.sign(found[2]) == b
    assert len({low, high, red, green}) == 4
    assert cielab(0.5, 0.5) == ["#9e9e9e"]


def test_what_is_outside_is_clamped_and_what_is_missing_is_grey():
    assert cielab([-3, 7], [0.5, 0.5]) == cielab([0, 1], [0.5, 0.5])
    assert cielab([np.nan, 0.1], [0.2, np.inf]) == ["#808080", "#808080"]
    assert cielab([], []) == []
    with pytest.raises(ValueError, match="lightness=101: allowed: 0 to 100"):
        cielab(0, 0, 101)
    with pytest.raises(ValueError, match="size=1"):
        legend(1)


def test_the_legend_is_made_of_the_same_colours():
    square = legend(5)
    assert square.shape == (5, 5) and square.dtype == np.uint32
    steps = np.linspace(0, 1, 5)
    for i, b in enumerate(steps):
        for j, a in enumerate(steps):
            red, green, blue, alpha = (int(square[i, j]) >> shift & 255 for shift in (0, 8, 16, 24))
            assert f"#{red:02x}{green:02x}{blue:02x}" == cielab(a, b, LIGHTNESS)[0] and alpha == 255
    assert len(np.unique(legend(11))) > 100


def test_positions_are_evenly_apart():
    np.testing.assert_allclose(positions(np.array([0.1, 0.01, 0.001, 0.1])), [1, 0.5, 0, 1])
    np.testing.assert_array_equal(positions(np.array([3.0, np.nan, 3.0])), [0.5, np.nan, 0.5])
    np.testing.assert_array_equal(positions(np.array(["b", "", "a"], object)), [1, np.nan, 0])
    assert positions(np.empty(0)).shape == (0,)


def test_different_settings_have_different_colours():
    """The 121 settings of the paper: no two closer than Delta E 2, as CIE 1976 has it."""
    along = np.linspace(0, 1, 11)
    colours = cielab(np.tile(along, 11), np.repeat(along, 11))
    assert len(set(colours)) == 121
    lab = np.array([lab_of(colour) for colour in colours])
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(121, 1)]
    assert apart.min() > 2
    assert len(set(cielab([0, 0.1], [0.5, 0.5]))) == 2
    # Farther from the centre is never less of a colour.
    chroma = np.hypot(*np.array([lab_of(c) for c in cielab(np.linspace(0.5, 0, 11), [0.5] * 11)]).T[1:])
    assert (np.diff(chroma) > 0).all()
