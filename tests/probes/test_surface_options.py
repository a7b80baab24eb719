"""What else a surface can be asked for: planes, uncertainty, refinement, replayed paths, bad options."""

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gdlab.analysis.surface_options import settings
from gdlab.analysis.surfaces import grid
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from tests import recording

SMALL = {"resolution": 3}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    small = ("experiment=digits_adam", "model=modified_lenet", "model.filters=[2]", "train.steps=12")
    return {
        "rosenbrock": recording.rosenbrock(root / "r"),
        "digits": recording.digits(root / "d", steps=12),
        "replayed": recording.digits(root / "p", steps=12, path=False),
        "dropout": recording.record(root / "o", *small, "model.dropout=0.5"),
    }


def table(run, **options):
    return run_probe(run.path, "surface", {**SMALL, **options})


def loss_at(replay, theta):
    example = replay.params(0)
    params = ravel_pytree(example)[1](np.asarray(theta, np.float32))
    return float(replay.assembly.problem.loss(params, replay.assembly.data, key=None))


def test_checkpoints_lie_on_their_plane_with_their_own_losses(runs):
    run = runs["digits"]
    found = table(run, plane="checkpoints", checkpoints=[0, 5, 12], method="pca")
    path, iteration = found.columns["path"], found.columns["iteration"]
    assert iteration.tolist() == list(range(13))
    replay = Replay(run.path)
    theta = np.stack([ravel_pytree(replay.params(k))[0] for k in (0, 5, 12)]).astype(float)
    on_plane = path[[0, 5, 12]]
    # Affine: what three points are in the plane, they are in parameter space.
    corner = np.linalg.solve(
        np.vstack([on_plane.T, np.ones(3)]), [found.columns["x"][0], found.columns["y"][0], 1]
    )
    expected = loss_at(replay, corner @ theta)
    assert found.columns["value"][0, 0] == pytest.approx(expected, rel=1e-4)


def test_a_random_plane_is_centred_on_the_last_point_and_seeded(runs):
    run = runs["digits"]
    found = table(run, plane="random", method="pca")
    np.testing.assert_allclose(found.columns["path"][-1], 0, atol=1e-6)
    row, column = (int(np.flatnonzero(found.columns[axis] == 0)[0]) for axis in "yx")
    assert found.columns["value"][row, column] == pytest.approx(
        loss_at(Replay(run.path), Replay(run.path).run.array("path")[-1]), rel=1e-5
    )
    other = table(run, plane="random", method="pca", seed=1)
    assert (other.columns["value"] != found.columns["value"]).any()


def test_a_path_that_was_not_recorded_is_replayed_to_the_same_surface(runs):
    one, other = (table(runs[name], method="averaged") for name in ("digits", "replayed"))
    assert "path" not in runs["replayed"].arrays
    for name in ("value", "path", "known_true"):
        np.testing.assert_array_equal(one.columns[name], other.columns[name])
    assert other.attrs["replay"]["compared"] >= 12 and other.attrs["replay"]["different"] == 0


def test_refinement_adds_lines_where_it_bends_and_keeps_what_was_there(runs):
    run = runs["rosenbrock"]
    coarse, fine = (table(run, resolution=5, method="pca", refine=share) for share in (0.0, 0.5))
    bends = grid.bending(coarse.columns["value"])
    wanted = [
        grid.refined(coarse.columns["x"], bends.max(axis=0), 0.5),
        grid.refined(coarse.columns["y"], bends.max(axis=1), 0.5),
    ]
    for axis, lines in zip("xy", wanted, strict=True):
        np.testing.assert_array_equal(fine.columns[axis], lines)
        assert set(coarse.columns[axis]) < set(lines)
    at = np.ix_(*(np.isin(fine.columns[axis], coarse.columns[axis]) for axis in "yx"))
    np.testing.assert_array_equal(fine.columns["value"][at], coarse.columns["value"])
    assert fine.attrs["finished"]


def test_distances_between_methods_are_those_of_their_parameters(runs):
    found = table(runs["rosenbrock"], method="sampled", against={"method": "pca"})
    x, y = found.columns["x"], found.columns["y"]
    path = np.asarray(runs["rosenbrock"].array("path"), float)
    # Both are g on the plane of two parameters, so wherever the methods agree on the plane they agree.
    assert found.columns["distance"].shape == (len(y), len(x))
    assert found.columns["distance"].max() < 1e-9 * np.abs(path).max()
    averaged = table(runs["rosenbrock"], method="averaged", against={"method": "pca"})
    assert averaged.columns["distance"].max() > 0.1


def test_dropout_gives_the_scatter_over_masks(runs):
    run = runs["dropout"]
    found = table(run, method="sampled", uncertainty="dropout")
    replay = Replay(run.path)
    theta = replay.params(12)
    keys = jax.random.split(jax.random.key(0), settings(run)["draws"])
    column = int(np.flatnonzero(found.columns["x"] == found.columns["path"][-1, 0])[0])
    row = int(np.flatnonzero(found.columns["y"] == found.columns["path"][-1, 1])[0])
    draws = [float(replay.assembly.problem.loss(theta, replay.assembly.data, key=key)) for key in keys]
    # Blocks draw masks of their own, so that their mean scatters less than a mean of all examples at once.
    spread, error = (found.columns[name][row, column] for name in ("deviation", "deviation_error"))
    assert 0 < spread < 1.3 * np.std(draws, ddof=1)
    assert 0.03 * spread < error < 0.25 * spread


@pytest.mark.parametrize("uncertainty", ["late", "dropout"])
def test_more_draws_agree_within_their_standard_errors(runs, uncertainty):
    cells = [
        table(runs["dropout"], method="pca", uncertainty=uncertainty, seed=seed, draws=100).columns
        for seed in (1, 2)
    ]
    spread, error = (np.array([c[name].ravel() for c in cells]) for name in ("deviation", "deviation_error"))
    assert (error < 0.3 * spread).all() and np.median(error / spread) < 0.1
    assert (np.abs(spread[0] - spread[1]) < 4 * np.hypot(*error)).all()
    assert (spread[0] != spread[1]).all()


def test_late_scatter_is_small_where_the_path_has_arrived(runs):
    run = runs["rosenbrock"]
    found = table(run, method="pca", uncertainty="late")
    assert (found.columns["deviation"] >= 0).all() and np.isfinite(found.columns["deviation"]).all()
    # The last tenth of the descent hardly moves, so nothing does where the error is not steep.
    assert found.columns["deviation"].min() < 1e-3 * found.attrs["initial_loss"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "mean"}, "method='mean': allowed: pca, sampled"),
        ({"resolution": 2}, "resolution=2: allowed: a whole number, 3 to 401"),
        ({"temperature": 0}, "temperature=0: allowed: a number > 0"),
        ({"plane": "checkpoints"}, "two or three different iterations"),
        ({"plane": "checkpoints", "checkpoints": [0, 99]}, "0 to 12"),
        ({"checkpoints": [0, 5]}, "only with plane='checkpoints'"),
        ({"uncertainty": "dropout"}, "does not depend on a random key"),
        ({"on": "both"}, "on='both': allowed: train, test"),
        ({"refine": 2}, "refine=2: allowed: a share from 0 to 1"),
        ({"thin": 0}, "thin=0"),
        ({"draws": 1}, "draws=1: allowed: a whole number, 2 to 10,000"),
    ],
)
def test_wrong_options_are_named(runs, options, said):
    with pytest.raises(ValueError, match=said):
        table(runs["digits"], **options)


def test_a_constant_path_and_one_parameter_are_refused(tmp_path):
    still = recording.record(
        tmp_path / "still", "experiment=digits_sgd", "train.steps=4", "optimizer.learning_rate=1e-30"
    )
    with pytest.raises(ValueError, match="does not move"):
        table(still)
