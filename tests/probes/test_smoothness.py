"""Smoothness is the total variation of the slope along the direction, wherever the search stopped."""

import jax
import numpy as np
import pytest

from gdlab.probes.smoothness import POINTS
from gdlab.probing import run_probe
from gdlab.replay import Replay
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
