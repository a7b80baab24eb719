"""The filters' correlations of an ensemble: orders, counts, points, and what is left out, on made-up runs."""

import make_ensemble
import numpy as np
import pytest

from gdlab import store
from gdlab.analysis import ensemble, filter_order
from server.pages.ensemble.matrices import Matrices, said


def quiet(share, words):
    """Nobody waits."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("ensemble")
    make_ensemble.grid(root, size=3, times=4)
    step = np.array([0, 33, 66])
    whole = make_ensemble.correlated(step)
    config = make_ensemble.configuration
    rows = make_ensemble.validation(step, 0.3)
    make_ensemble.write(
        root / "sweep/short", config(100, learning_rate=0.5, momentum=0.1), rows,
        correlations=whole, state="interrupted",
    )  # fmt: skip
    broken = {name: np.array(values, float) for name, values in whole.items()}
    broken["conv2"][-1] = np.nan
    make_ensemble.write(
        root / "sweep/wild", config(100, learning_rate=0.7, momentum=0.1), rows,
        correlations=broken, state="diverged",
    )  # fmt: skip
    make_ensemble.write(root / "sweep/none", config(100, learning_rate=0.9, momentum=0.1), rows)
    return root


@pytest.fixture
def matrices(root):
    runs = [store.open_run(root / name, name) for name, _ in store.list_runs(root)]
    return Matrices(ensemble.open_ensemble(runs))


def place(matrices, name):
    return matrices.ensemble.names.index(name)


def test_steps_are_those_of_all_runs(matrices):
    assert matrices.steps().tolist() == [0, 33, 66, 100]
    assert len(matrices.runs) == 11


def test_a_matrix_is_that_of_the_latest_row_in_its_order(matrices):
    member = int(matrices.runs[0])
    r = matrices.ensemble.runs[member].array("correlation/conv2")
    found = matrices.ordered(member, "conv2", 70)
    order = filter_order.order_filters(r[2])
    assert found.step == 66
    np.testing.assert_array_equal(found.order.order, order.order)
    np.testing.assert_allclose(found.matrix, np.abs(r[2])[np.ix_(order.order, order.order)])


def test_what_cannot_be_shown_says_why(matrices):
    assert matrices.ordered(place(matrices, "sweep/none"), "conv1", 0) == "another network or no correlations"
    assert matrices.ordered(place(matrices, "sweep/short"), "conv1", 100) == "not come so far"
    assert matrices.ordered(place(matrices, "sweep/wild"), "conv2", 100) == "not finite"
    assert matrices.ordered(place(matrices, "sweep/wild"), "conv1", 100).step == 66


def test_counts_of_every_run_over_time(matrices):
    for counted in ("pairs", "filters"):
        found = matrices.counts("conv2", 0.3, counted, quiet)
        for member in range(len(matrices.ensemble.names)):
            if member not in matrices.runs:
                assert np.isnan(found.values[member]).all()
                continue
            r = matrices.ensemble.runs[member].array("correlation/conv2")
            for row, matrix in enumerate(r):
                above = [
                    (i, j) for i in range(8) for j in range(i) if abs(matrix[i, j]) > 0.3
                ]  # fmt: skip
                wanted = len(above) if counted == "pairs" else len({i for pair in above for i in pair})
                if np.isfinite(matrix).all():
                    assert found.values[member, row] == wanted
    assert found.left_out == {"another network or no correlations": 1}


def test_points_are_those_of_the_runs_that_can_be_compared(matrices):
    found = matrices.plane("conv2", 100, "mds", quiet)
    assert found.left_out == {"another network or no correlations": 1, "not come so far": 1, "not finite": 1}
    assert len(found.runs) == 9 and np.isfinite(found.points).all()
    again = matrices.plane("conv2", 100, "mds", quiet)
    np.testing.assert_array_equal(found.points, again.points)
    assert "1 (not finite)" in said(found.left_out) and said({}) == ""


def test_an_earlier_time_is_turned_onto_the_last(matrices):
    last, before = (matrices.plane("conv1", time, "mds", quiet) for time in (100, 66))
    shared = np.isin(before.runs, last.runs)
    here, there = before.points[shared], last.points[np.isin(last.runs, before.runs)]
    # No turn or mirroring brings the points nearer: the Procrustes rotation of what is shown is none.
    left, _, right = np.linalg.svd((here - here.mean(axis=0)).T @ (there - there.mean(axis=0)))
    np.testing.assert_allclose(left @ right, np.eye(2), atol=1e-6)


def test_nothing_is_computed_for_nobody(matrices):
    class Stop(Exception):
        pass

    def stop(share, words):
        raise Stop

    with pytest.raises(Stop):
        matrices.plane("conv1", 33, "mds", stop)
