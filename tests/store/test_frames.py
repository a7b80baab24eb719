"""Runs as pandas and xarray have them: the same numbers under the same names."""

import subprocess
import sys

import numpy as np
import pytest
import xarray

from gdlab import store
from tests.recording import record


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return record(tmp_path_factory.mktemp("frames") / "run", "experiment=rosenbrock", "train.steps=6")


def test_steps_by_iteration(run):
    frame, columns = run.to_pandas(), run.table("steps").columns
    assert list(frame.index) == list(range(7)) and frame.index.name == "iteration"
    assert set(frame.columns) == set(columns) - {"iteration"}
    for name in frame.columns:
        np.testing.assert_array_equal(frame[name], columns[name])
    frame["loss"] = 0.0  # one's own
    assert run.table("steps").columns["loss"][0] > 0


def test_evaluations_by_iteration_and_number(run):
    frame = run.to_pandas("evaluations")
    assert frame.index.names == ["iteration", "j"] and frame.index.is_unique
    counts = run.table("steps", columns=["evaluations"]).columns["evaluations"][:6]
    np.testing.assert_array_equal(frame.groupby("iteration").size(), counts)


def test_a_dataset_holds_both_and_can_be_written(run, tmp_path):
    found = run.to_xarray()
    assert found.sizes == {"iteration": 7, "evaluation": run.rows("ls_eval")}
    np.testing.assert_array_equal(found.loss, run.table("steps").columns["loss"])
    first = found.isel(evaluation=found.search_iteration == 0)
    np.testing.assert_array_equal(first.search_eta, run.to_pandas("evaluations").loc[0]["eta"])
    assert found.attrs["linesearch.sigma"] == 0.011 and found.attrs["state"] == "finished"
    found.to_zarr(tmp_path / "copy.zarr", consolidated=False)
    xarray.testing.assert_identical(
        xarray.open_zarr(tmp_path / "copy.zarr", consolidated=False).load()[["loss"]], found[["loss"]]
    )


def test_a_table_that_there_is_not(run):
    with pytest.raises(store.UnknownName, match="evaluations"):
        run.to_pandas("evalutions")


def test_what_is_lacking_is_named(run):
    code = f"""
import sys
sys.modules["pandas"] = sys.modules["xarray"] = None
import gdlab
run = gdlab.open_run({str(run.path)!r})
for ask in (run.to_pandas, run.to_xarray):
    try:
        ask()
    except ImportError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "to_pandas needs pandas: pip install pandas",
        "to_xarray needs xarray: pip install xarray",
    ], done.stderr
