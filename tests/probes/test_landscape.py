"""The map is the error function on a grid around the path."""

import numpy as np
import pytest

from gdlab.execution.probing import run_probe
from tests import recording


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return recording.rosenbrock(tmp_path_factory.mktemp("runs") / "run")


def test_the_map_is_the_error_function(run):
    table = run_probe(run.path, "landscape", {"resolution": 21}).columns
    x, y = np.meshgrid(table["x"], table["y"])
    np.testing.assert_allclose(table["value"], 100 * (y - x**2) ** 2 + (1 - x) ** 2, rtol=1e-9)
    path = table["path"]
    np.testing.assert_array_equal(path, run.array("path"))
    assert (x.min() < path[:, 0]).all() and (path[:, 0] < x.max()).all()
    assert (y.min() < path[:, 1]).all() and (path[:, 1] < y.max()).all()


def test_a_window_is_kept_and_what_is_not_finite_is_left_open(run):
    window = {"x0": -2.0, "x1": 2.0, "y0": 0.0, "y1": 1e200}
    table = run_probe(run.path, "landscape", {"resolution": 5, **window}).columns
    assert (table["x"][0], table["x"][-1], table["y"][0], table["y"][-1]) == (-2, 2, 0, 1e200)
    assert np.isfinite(table["value"][0]).all() and np.isnan(table["value"][-1]).all()


def test_progress_is_told_and_cancels(run):
    told = []

    def cancel(fraction, text):
        told.append(fraction)
        if fraction > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_probe(run.path, "landscape", {"resolution": 11}, cancel)
    assert told == sorted(told) and told[0] >= 0 and told[-1] <= 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resolution": 1}, "resolution=1: allowed: 2 to 1001"),
        ({"x0": 1.0, "x1": 1.0}, "the window x0=1.0, x1=1.0 is empty"),
    ],
)
def test_wrong_options_are_named(run, options, said):
    with pytest.raises(ValueError, match=said):
        run_probe(run.path, "landscape", options)


def test_other_problems_have_no_map(tmp_path):
    wood = recording.record(tmp_path / "wood", "problem=wood", "train.steps=2")
    with pytest.raises(ValueError, match="two parameters; this one has 4"):
        run_probe(wood.path, "landscape", {})
