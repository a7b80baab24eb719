"""Smoothness is the total variation of the slope along the direction, wherever the search stopped."""

import jax
import numpy as np
import pytest

from gdlab.analysis.shape import POINTS, known
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from tests import recording


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return recording.rosenbrock(tmp_path_factory.mktemp("runs") / "run")


def slopes(path, k):
    """d/dx J(theta_k + x (theta_{k+1} - theta_k)) on [0, 2], from the gradient on paper."""
    step = path[k + 1] - path[k]
    t1, t2 = (path[k] + np.linspace(0, 2, POINTS)[:, None] * step).T
    return (-400 * t1 * (t2 - t1**2) - 2 * (1 - t1)) * step[0] + 200 * (t2 - t1**2) * step[1]


def test_it_equals_the_total_variation_of_the_analytic_slope(run):
    table = run_probe(run.path, "smoothness", {"start": 0, "stop": 16}).columns
    steps = run.table("steps").columns
    for k in range(16):
        expected = slopes(run.array("path"), k)
        variation = np.abs(np.diff(expected)).sum() / abs(expected[0])
        assert table["smoothness"][k] == pytest.approx(variation, rel=1e-6)
        assert table["slope"][k] == pytest.approx(steps["slope"][k] * steps["step_size"][k], rel=1e-6)


def test_the_curvature_is_that_of_the_hessian_matrix_on_paper(run):
    table = run_probe(run.path, "smoothness", {"start": 0, "stop": 16}).columns
    steps = run.table("steps").columns
    for k in range(16):
        (t1, t2), after = run.array("path")[k : k + 2]
        d = (after - run.array("path")[k]) / steps["step_size"][k]
        hessian = np.array([[1200 * t1**2 - 400 * t2 + 2, -400 * t1], [-400 * t1, 200]])
        assert table["curvature"][k] == pytest.approx(d @ hessian @ d, rel=1e-6)
    np.testing.assert_array_equal(known(run, 0, 16), table["curvature"])
    assert np.isnan(known(run, 26, 99)).all() and known(run, 99, 120).shape == (0,)


def test_the_curvature_of_a_network_is_that_of_differences_of_gradients(tmp_path):
    """The record's slopes alone gave it another sign at k = 0."""
    galaxy = recording.galaxy(tmp_path / "galaxy", steps=3)
    table = run_probe(galaxy.path, "smoothness", {"start": 0, "stop": 3}).columns
    replay = Replay(galaxy.path)
    with jax.enable_x64(True):
        for step in replay.steps(0, 3):
            batch, key = replay.batch(step.iteration), replay.key(step.iteration)
            eta, h = float(step.info.step_size), 1e-6
            slope = []
            for width in (-h / eta, h / eta):
                theta = jax.tree.map(lambda p, u, w=width: p + w * u, step.params, step.updates)
                gradient = jax.grad(replay.assembly.problem.loss)(theta, batch, key=key)
                pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(step.updates), strict=True)
                slope.append(sum(float((g * u).sum()) / eta for g, u in pairs))
            exact = (slope[1] - slope[0]) / (2 * h)
            assert table["curvature"][step.iteration] == pytest.approx(exact, rel=1e-5)
    assert table["curvature"][0] < 0


def test_near_the_minimum_it_is_that_of_a_parabola(run):
    table = run_probe(run.path, "smoothness", {"start": 20, "stop": 23}).columns
    np.testing.assert_allclose(table["smoothness"], 2, atol=0.05)


def test_every_third_iteration_and_then_the_rest(run, monkeypatch):
    (run.path / "derived").mkdir(exist_ok=True)
    third = run_probe(run.path, "smoothness", {"start": 4, "stop": 27, "every": 3})
    assert third.columns["iteration"].tolist() == [6, 9, 12, 15, 18, 21, 24]
    every = run_probe(run.path, "smoothness", {"start": 0, "stop": 27}).columns
    np.testing.assert_array_equal(third.columns["smoothness"], every["smoothness"][6:27:3])
    assert np.isnan(every["smoothness"][26]) and np.isfinite(every["smoothness"][:24]).all()
    monkeypatch.setattr(Replay, "steps", lambda *_: pytest.fail("replayed what is cached"))
    again = run_probe(run.path, "smoothness", {"start": 0, "stop": 27}).columns
    np.testing.assert_array_equal(again["smoothness"], every["smoothness"])


@pytest.mark.parametrize(
    ("options", "said"), [({"every": 0}, "every=0: allowed"), ({"on": "all"}, "batch, train")]
)
def test_wrong_options_are_named(run, options, said):
    assert not jax.config.jax_enable_x64
    with pytest.raises(ValueError, match=said):
        run_probe(run.path, "smoothness", {"start": 0, "stop": 4, **options})
