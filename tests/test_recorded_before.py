"""Runs that an earlier gdlab recorded: they open, are continued to the same bits, and replay.

`recorded_before` holds them as archives: experiment=rosenbrock, interrupted after 16 of its 27 iterations,
and finished with segments [3, 9) derived. Their commit records are of schema 1: without ids and checksums.
"""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import zarr

from gdlab import experiment, store
from gdlab.execution.probing import run_probe
from tests.composing import composed
from tests.recording import recorded

ARCHIVES = Path(__file__).parent / "recorded_before"


@pytest.fixture
def before(tmp_path):
    def unpack(name):
        with tarfile.open(ARCHIVES / f"{name}.tar.xz") as archive:
            archive.extractall(tmp_path, filter="data")
        return tmp_path / name

    return unpack


def test_they_open(before):
    for name, state, rows in (("interrupted", "interrupted", 16), ("finished", "finished", 27)):
        run = store.open_run(before(name))
        assert (run.state, run.rows("scalars"), run.generation) == (state, rows, 0)
        assert run.config["problem"]["_target_"] == "gdlab.problems.rosenbrock"
        assert run.identity["parameters"] == 2
        assert zarr.open_group(run.path / "log.zarr", mode="r")["scalars"].shape[0] == rows


def test_an_interrupted_one_goes_on_to_the_same_end(before):
    whole, path = before("finished"), before("interrupted")
    key = store.open_run(path).key
    run = experiment.run(composed("experiment=rosenbrock"), path, progress=False)
    assert run.state == "finished" and run.key.id == key.id
    first, second = recorded(whole), recorded(path)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_a_finished_one_replays_and_keeps_its_results(before):
    path = before("finished")
    names = {file.name for file in (path / "derived").iterdir()}
    table = run_probe(path, "segments", {"start": 3, "stop": 9})
    assert table.attrs["replay"]["compared"] == 0, "nothing had to be computed again"
    table = run_probe(path, "segments", {"start": 9, "stop": 12})
    assert table.attrs["replay"]["compared"] > 0 and table.attrs["replay"]["different"] == 0
    assert names <= {file.name for file in (path / "derived").iterdir()}
