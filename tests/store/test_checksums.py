"""Damaged rows are never returned: a flipped bit of a committed row is found, whole arrays stay usable."""

import numpy as np
import pytest
import xarray

from gdlab import store
from gdlab.records import STEP_COLUMNS
from tests.store import runs
from tests.store.test_identity import before_schema_2

ROW = 8 * len(STEP_COLUMNS)


def flip(file, at, bit=3):
    """One bit of a file turned over."""
    with open(file, "r+b") as opened:
        opened.seek(at)
        old = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([old ^ 1 << bit]))


@pytest.fixture
def path(tmp_path):
    runs.record(tmp_path / "run", 100)
    return tmp_path / "run"


@pytest.mark.parametrize("at", [0, 7, 8 * 57 + 3, ROW * 100 - 1])
def test_a_flipped_bit_is_named_and_the_rest_is_read(path, at):
    chunk = path / "log.zarr" / "scalars" / "c.0.0"
    flip(chunk, at)
    run = store.open_run(path)
    assert run.verified
    for read in (
        lambda: run.array("scalars"),
        lambda: run.array("scalars", 50, 51),
        lambda: run.table("steps", columns=["loss"]),
        lambda: run.envelope("loss", points=1000),
    ):
        with pytest.raises(store.DamagedRun, match="rows 0 to 100 of 'scalars' are not those") as caught:
            read()
        assert caught.value.where == str(chunk)
    np.testing.assert_array_equal(run.array("path"), runs.rows(0, 100)["path"])
    assert [error.where for error in run.verify()] == [str(chunk)]
    with pytest.raises(store.DamagedRun, match="are not those that were committed"):
        store.RunWriter.resume(path, config=runs.CONFIG)
    assert store.open_run(path).generation == 0, "checked before anything was cut"


def test_a_flipped_bit_beyond_the_committed_rows_does_not_matter(path):
    flip(path / "log.zarr" / "scalars" / "c.0.0", ROW * 100)
    assert runs.check(store.open_run(path)) == 100
    assert store.open_run(path).verify() == []


def test_a_damaged_envelope(path):
    flip(path / "log.zarr" / "envelope" / "scalars" / "L1" / "c.0.0.0", 0)
    run = store.open_run(path)
    with pytest.raises(store.DamagedRun, match="envelope/scalars/L1"):
        run.envelope("loss", points=4)
    assert len(run.table("steps").columns["loss"]) == 101


def test_a_live_run_is_verified_as_it_grows(path, tmp_path):
    """Once per map: rows that were found whole are not looked at again, new ones are."""
    live = tmp_path / "live"
    with runs.begin(live) as writer:
        writer.append(runs.rows(0, 10))
        writer.commit()
        run = store.open_run(live)
        assert len(run.array("scalars")) == 10
        flip(live / "log.zarr" / "scalars" / "c.0.0", ROW * 9)
        assert len(run.array("scalars")) == 10
        flip(live / "log.zarr" / "scalars" / "c.0.0", ROW * 9)
        writer.append(runs.rows(10, 30))
        writer.commit()
        flip(live / "log.zarr" / "scalars" / "c.0.0", ROW * 29)
        assert run.refresh()
        with pytest.raises(store.DamagedRun, match="rows 10 to 30"):
            run.array("scalars")
        flip(live / "log.zarr" / "scalars" / "c.0.0", ROW * 29)
        assert len(run.array("scalars")) == 30


def test_several_chunks_and_a_cut_inside_one(tmp_path):
    wide = {"x": store.ArraySpec("f8", (1 << 17,))}  # four rows a chunk

    def some(start, stop):
        return {"x": np.arange(start, stop)[:, None] + np.zeros(1 << 17)}

    with store.RunWriter.create(tmp_path / "run", config={}, identity={}, arrays=wide, pyramids=()) as writer:
        for start in range(0, 15, 5):
            writer.append(some(start, start + 5))
            writer.commit()
    assert store.open_run(tmp_path / "run").verify() == []
    with store.RunWriter.resume(tmp_path / "run", config={}, cursors={"x": 6}) as writer:
        assert store.open_run(tmp_path / "run").verify() == []
        writer.append(some(6, 9))
    run = store.open_run(tmp_path / "run")
    assert run.verify() == []
    np.testing.assert_array_equal(run.array("x"), some(0, 9)["x"])
    flip(tmp_path / "run" / "log.zarr" / "x" / "c.1.0", 8)
    run = store.open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.array("x", 0, 4), some(0, 4)["x"])
    np.testing.assert_array_equal(run.array("x", 8, 9), some(8, 9)["x"])
    with pytest.raises(store.DamagedRun, match="rows 4 to 8 of 'x'"):
        run.array("x", 3, 5)


def test_a_run_of_before_is_not_verified_until_it_is_resumed(path):
    runs.edit(path, lambda document: document["attributes"]["gdlab"].pop("sums"))
    before_schema_2(path, 100.0)
    run = store.open_run(path)
    assert not run.verified and not run.summary()["verified"]
    assert runs.check(run) == 100
    with store.RunWriter.resume(path, config=runs.CONFIG) as writer:
        writer.append(runs.rows(100, 120))
    run = store.open_run(path)
    assert run.verified and run.verify() == [] and runs.check(run) == 120


@pytest.mark.parametrize("sums", [3, {}, {"scalars": "00"}, {"scalars": "0" * 16}, {"scalars": "zzzzzzzz"}])
def test_checksums_that_are_none(path, sums):
    def change(document):
        facts = document["attributes"]["gdlab"]
        facts["sums"] = sums if sums == 3 or not sums else {**facts["sums"], **sums}

    runs.edit(path, change)
    with pytest.raises(store.DamagedRun, match="checksums"):
        store.open_run(path)


def test_other_tools_open_it(path):
    opened = xarray.open_zarr(path / "log.zarr", consolidated=True)
    np.testing.assert_array_equal(opened["scalars"].values, runs.rows(0, 100)["scalars"])
