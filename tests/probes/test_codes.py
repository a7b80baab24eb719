"""The codes of the galaxy tell its arms apart once it is trained, and not before."""

import numpy as np
import pytest

from gdlab.analysis.separation import best_thresholds
from gdlab.execution.probing import run_probe
from tests import recording


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return recording.record(tmp_path_factory.mktemp("runs") / "run", "experiment=galaxy_batch")


def test_trained_codes_separate_the_arms(run):
    table = run_probe(run.path, "codes", {})
    assert table.attrs["iteration"] == 120 and table.attrs["accuracy"] >= 0.97
    columns = table.columns
    assert columns["code"].shape == columns["label"].shape == (1440,) and columns["x"].shape == (1440, 2)
    found = best_thresholds(columns["code"], columns["label"])
    guess = found.order[np.searchsorted(found.thresholds, columns["code"], side="right")]
    assert (guess == columns["label"]).mean() == pytest.approx(table.attrs["accuracy"])


def test_the_start_does_not(run):
    assert run_probe(run.path, "codes", {"iteration": 0}).attrs["accuracy"] < 0.9


def test_batch_training_is_monotone_without_gaps(run):
    steps = run.table("steps").columns
    assert (np.diff(steps["loss"]) < 0).all()
    np.testing.assert_array_equal(steps["loss_end"][:-1], steps["loss"][1:])


def test_an_iteration_that_is_not_there_is_named(run):
    with pytest.raises(ValueError, match="iteration=121: allowed: 0 to 120"):
        run_probe(run.path, "codes", {"iteration": 121})
