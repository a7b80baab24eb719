"""Shades, levels, cells, images and estimates of the surface's page, without a browser."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlab.analysis.surfaces import fidelity
from gdlab.records import Table
from server.pages.surface import picture, slot
from server.pages.surface.page import axis_labels, caption
from server.ui import shades

X, Y = np.array([0.0, 0.1, 1.0, 4.0]), np.array([-1.0, 0.0, 2.5])
PICTURE = np.add.outer(Y**2, 1.0 + X)


@given(
    low=st.floats(1e-9, 1e6), factor=st.floats(1.001, 1e12), wanted=st.sampled_from(["auto", "log", "linear"])
)
def test_levels_are_few_ascending_and_inside(low, factor, wanted):
    scale = shades.choose([np.array([low, low * factor])], wanted=wanted)
    levels = scale.levels
    assert (np.diff(levels) > 0).all() and len(levels) <= 30
    assert ((levels > scale.low) & (levels < scale.high)).all()
    assert len(scale.ticks(8)) <= 8
    drawn = scale.drawn(levels)
    assert ((drawn > scale.drawn(scale.low)) & (drawn < scale.drawn(scale.high))).all()


def test_the_scale_follows_the_values_the_clip_and_the_wish():
    wide, narrow, signed = np.array([1e-3, 1.0]), np.array([1.0, 2.0]), np.array([-1.0, 3.0])
    assert shades.choose([wide]).kind == "log" and shades.choose([narrow]).kind == "linear"
    assert shades.choose([narrow], wanted="log").kind == "log"
    assert shades.choose([signed], wanted="log").kind == "shifted"
    assert shades.choose([wide, np.array([np.nan, 50.0])], clip=3.0)[2:] == (1e-3, 3.0)
    assert shades.choose([np.array([5.0, 9.0])], clip=3.0)[2:] == (5.0, 9.0)
    assert shades.choose([np.array([np.nan])])[2:] == (0.0, 1.0)
    assert shades.choose([signed], wanted="log").drawn(-1.0) == 0.0


def test_an_image_is_the_bilinear_picture_and_keeps_holes_empty():
    (pixels,) = picture.image(X, Y, PICTURE)["image"]
    rows, columns = ((np.arange(n) + 0.5) / n for n in pixels.shape)
    at = np.stack(np.meshgrid(X[0] + columns * np.ptp(X), Y[0] + rows * np.ptp(Y)), -1).reshape(-1, 2)
    assert np.allclose(pixels.ravel(), fidelity.interpolate(X, Y, PICTURE, at), rtol=1e-6)
    holed = PICTURE.copy()
    holed[1, 2] = np.nan
    (pixels,) = picture.image(X, Y, holed)["image"]
    nearest = [
        [np.abs(axis - value).argmin() for value in values] for axis, values in ((X, at[:, 0]), (Y, at[:, 1]))
    ]
    hole = (np.array(nearest[0]) == 2) & (np.array(nearest[1]) == 1)
    assert hole.any() and np.array_equal(np.isnan(pixels.ravel()), hole)


def test_cells_tile_the_picture_and_hold_its_values():
    found = picture.cells(X, Y, value=PICTURE)
    area = (found["right"] - found["left"]) * (found["top"] - found["bottom"])
    assert area.sum() == pytest.approx(np.ptp(X) * np.ptp(Y)) and (area > 0).all()
    assert np.array_equal(found["value"].reshape(3, 4)[:, 1], PICTURE[:, 1])
    assert (found["left"] <= found["at_x"]).all() and (found["at_y"] <= found["top"]).all()


def test_missing_cells_take_the_nearest_value():
    done = np.zeros(PICTURE.shape, bool)
    done[0, 0] = done[2, 3] = True
    found = picture.filled(np.where(done, PICTURE, np.nan), done)
    assert found[0, 1] == PICTURE[0, 0] and found[1, 3] == PICTURE[2, 3] and np.isfinite(found).all()


def test_contours_lie_at_their_level():
    lines = picture.contours(X, Y, PICTURE, [3.0])
    ends = np.concatenate([np.stack(line, 1) for line in zip(lines["xs"], lines["ys"], strict=True)])
    assert len(ends) and np.allclose(fidelity.interpolate(X, Y, PICTURE, ends), 3.0, atol=0.05)


def test_light_comes_from_the_upper_left():
    slope = np.add.outer(-Y, X)  # falls to the upper left: it faces the light
    assert (picture.hillshade(X, Y, slope) > 0).all() and (picture.hillshade(X, Y, -slope) < 0).all()
    assert not picture.hillshade(X, Y, np.ones(PICTURE.shape)).any()


@given(count=st.integers(2, 500), most=st.integers(2, 60))
def test_thinning_keeps_both_ends(count, most):
    at = picture.thinned(count, most)
    assert at[0] == 0 and at[-1] == count - 1 and len(at) <= most
    path = np.stack([np.linspace(0, 1, count)] * 2, 1)
    labels = picture.labelled(path, (1.0, 1.0))
    assert labels[0] == 0 and labels[-1] == count - 1
    inner = path[labels][1:-1, 0]
    assert (inner > picture.LABELS_APART).all() and (np.diff(inner) > picture.LABELS_APART).all()


def test_durations_are_said_to_one_digit():
    said = [slot.duration(length) for length in (0.2, 7.4, 95, 1300, 4000)]
    assert said == ["1 second", "7 seconds", "2 minutes", "20 minutes", "1 hour"]


def test_the_estimate_follows_the_pace_of_the_training():
    steps = {"seconds": np.array([1.0, 1.3, 1.6, np.nan]), "evaluations": np.array([2.0, 2.0, 2.0, np.nan])}
    run = SimpleNamespace(
        table=lambda name, columns: Table(steps, {}, {}), identity={"examples": 1000, "batch_size": 100},
        rows=lambda name: 3, arrays=("scalars",),
    )  # fmt: skip
    options = {"samples": 500, "on": "train"}
    forward = 0.3 / 2 / 4 * 5  # of 500 examples: two evaluations of 100, each as much as four losses
    assert slot.seconds(run, options, 10, replay=False) == pytest.approx(10 * forward)
    assert slot.seconds(run, options, 10, replay=True) == pytest.approx(10 * forward + 3 * 0.3)


def test_the_caption_says_what_the_map_does_not_show():
    columns = {
        "value": np.array([[1.0, 9.0], [np.nan, 2.0]]),
        "done": np.array([[True, True], [True, False]]),
    }
    attrs = {
        "on": "test", "clip": 3.0, "finished": False, "holes": 1, "dropped": 2, "plane": "pca",
        "explained": [0.75, 0.125],
    }  # fmt: skip
    table = Table(columns, {}, attrs)
    replay = {"different": 2, "compared": 30, "largest": 4e-7}
    words = caption(table, shades.choose([columns["value"]], clip=3.0), True, replay)
    for part in (
        "the test set", "Losses above 3 are drawn", "3 of 4 cells", "1 cell without", "2 points",
        "2 of 30 iterations, by 4e-07",
    ):  # fmt: skip
        assert part in words
    assert axis_labels(table) == ("PC 1, 75 % of the variance", "PC 2, 12.5 % of the variance")


@pytest.mark.parametrize("ends", [(1e-300, 1.7e308), (-1.7e308, 1.7e308), (0.0, 1.7e308), (1e308, 1.7e308)])
@pytest.mark.parametrize("wanted", ["auto", "log", "linear"])
def test_losses_near_the_largest_number_have_levels(ends, wanted):
    scale = shades.choose([np.array(ends)], wanted=wanted)
    assert np.isfinite(scale.levels).all() and len(scale.levels) <= 30
    assert all(np.isfinite(place) for place in scale.ticks())
