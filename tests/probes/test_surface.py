"""The surface is the loss at the parameters a method gives; it is kept, and read again without JAX."""

import subprocess
import sys

import jax
import numpy as np
import pytest

from gdlab.analysis import surface as opened
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from gdlab.probes import surface as probe
from tests import recording

SMALL = {"resolution": 5}
METHODS = ("pca", "sampled", "sampled_pca", "averaged", "averaged_nd")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return {"rosenbrock": recording.rosenbrock(root / "r"), "digits": recording.digits(root / "d", steps=12)}


def naive(run, method, x, y):
    """The picture of a run of two parameters, from the formulas, point by point."""
    path = np.asarray(run.array("path"), np.float64)
    _, _, directions = np.linalg.svd(path - path.mean(axis=0))
    directions *= np.sign(directions[np.arange(2), np.abs(directions).argmax(axis=1)])[:, None]
    p = (path - path.mean(axis=0)) @ directions.T
    extreme = [p[:, 0].argmin(), p[:, 0].argmax(), p[:, 1].argmin(), p[:, 1].argmax()]
    centre, p_centre = path[extreme].mean(axis=0), p[extreme].mean(axis=0)
    picture = np.empty((len(y), len(x)))
    for row, column in np.ndindex(picture.shape):
        g = np.array([x[column], y[row]])
        away = np.linalg.norm(g - p, axis=1)
        if method == "averaged":
            weight = np.exp(-away) / np.exp(-away).sum()
            theta = weight @ path
        elif method == "averaged_nd":
            weight = np.exp(-np.linalg.norm(centre + (g - p_centre) @ directions - path, axis=1))
            theta = weight / weight.sum() @ path
        else:
            theta = centre + (g - p_centre) @ directions
        picture[row, column] = 100 * (theta[1] - theta[0] ** 2) ** 2 + (1 - theta[0]) ** 2
    return picture


@pytest.mark.parametrize("method", METHODS)
def test_it_is_the_loss_at_the_method_s_parameters(runs, method):
    table = run_probe(runs["rosenbrock"].path, "surface", {**SMALL, "method": method})
    columns = table.columns
    expected = naive(runs["rosenbrock"], method, columns["x"], columns["y"])
    np.testing.assert_allclose(columns["value"], expected, rtol=1e-7, atol=1e-12)
    assert table.attrs["finished"] and table.attrs["holes"] == 0
    assert table.attrs["initial_loss"] == pytest.approx(24.2)
    assert table.attrs["clip"] == pytest.approx(36.3)
    assert sum(table.attrs["explained"]) == pytest.approx(1)


@pytest.mark.parametrize("name", ["rosenbrock", "digits"])
def test_the_grid_goes_through_both_ends_of_the_path(runs, name):
    columns = run_probe(runs[name].path, "surface", {**SMALL, "method": "sampled"}).columns
    path = columns["path"]
    assert len(columns["x"]) == len(columns["y"]) == 7
    for end, iteration in ((0, 0), (-1, columns["iteration"][-1])):
        (column,) = np.flatnonzero(columns["x"] == path[end, 0])
        (row,) = np.flatnonzero(columns["y"] == path[end, 1])
        known = runs[name].table("steps").columns["loss"][iteration]
        if name == "rosenbrock":
            assert columns["value"][row, column] == pytest.approx(known, rel=1e-6, abs=1e-12)
        # The sampled method is exact on the path.
        assert columns["value"][row, column] == pytest.approx(columns["known_true"][end], rel=1e-5, abs=1e-12)
    middle = (path.max(axis=0) + path.min(axis=0)) / 2
    half = 1.2 * np.ptp(path, axis=0) / 2
    np.testing.assert_allclose([columns["x"][0], columns["y"][0]], middle - half)
    np.testing.assert_allclose([columns["x"][-1], columns["y"][-1]], middle + half)


def test_a_network_s_cells_are_its_training_loss_there(runs):
    run, options = runs["digits"], {**SMALL, "method": "averaged_nd", "temperature": 0.2}
    columns = run_probe(run.path, "surface", options).columns
    replay = Replay(run.path)
    np.testing.assert_array_equal(columns["iteration"], np.arange(13))
    for point in (0, 16, 31):
        iteration = np.linspace(0, 12, 32).round().astype(int)[point]
        expected = replay.assembly.problem.loss(replay.params(iteration), replay.assembly.data, key=None)
        assert columns["known_true"][point] == pytest.approx(float(expected), rel=1e-5)


def test_the_straight_line_is_that_between_the_ends(runs):
    run = runs["digits"]
    table = run_probe(run.path, "surface", {**SMALL, "method": "pca", "centre": "mean"})
    replay = Replay(run.path)
    start, end = replay.params(0), replay.params(12)
    for number in (0, 7, 20):
        a = table.columns["fraction"][number]
        params = jax.tree.map(lambda one, two: (1 - a) * one + a * two, start, end)  # noqa: B023
        expected = float(replay.assembly.problem.loss(params, replay.assembly.data, key=None))
        assert table.columns["line_true"][number] == pytest.approx(expected, rel=1e-5)
    gap = np.abs(table.columns["line_true"] - table.columns["line_value"]).mean()
    assert table.attrs["fidelity"]["line_error"] == pytest.approx(gap)


def test_a_cancelled_surface_shows_what_it_has_and_goes_on(runs, monkeypatch):
    run, options = runs["digits"], {"resolution": 9, "method": "sampled_pca", "seed": 3}
    assert opened.read(run, options) is None

    def cancel(fraction, text):
        assert 0 <= fraction <= 1
        if fraction > 0.4 and text.startswith("surface"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_probe(run.path, "surface", options, cancel)
    partial = opened.read(run, options)
    done = partial.columns["done"]
    assert 0.2 < done.mean() < 0.8 and not partial.attrs["finished"]
    assert np.isfinite(partial.columns["value"][done]).all()
    assert np.isnan(partial.columns["value"][~done]).all()
    # Coarse to fine: every line of the coarser grid is there before the finer ones.
    assert done[::4, ::4].all()
    evaluated = []
    losses = probe.Losses.__call__
    monkeypatch.setattr(
        probe.Losses,
        "__call__",
        lambda self, theta, key=None: evaluated.append(len(theta)) or losses(self, theta),
    )
    whole = run_probe(run.path, "surface", options)
    assert whole.attrs["finished"]
    assert sum(evaluated) == (~done).sum() + 2 * 53 - 1
    np.testing.assert_array_equal(whole.columns["value"][done], partial.columns["value"][done])
    evaluated.clear()
    run_probe(run.path, "surface", options)
    assert not evaluated


def test_a_finished_surface_opens_without_jax(runs):
    run = runs["digits"]
    run_probe(run.path, "surface", {**SMALL, "method": "pca"})
    code = (
        "import sys; from gdlab import store; from gdlab.analysis import surface\n"
        f"t = surface.read(store.open_run({str(run.path)!r}), {{'resolution': 5, 'method': 'pca'}})\n"
        "assert t.attrs['finished'] and 'jax' not in sys.modules and 'scipy' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""
