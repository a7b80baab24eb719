"""The list of runs: every run once, whatever its neighbours look like, and without reading arrays."""

import os
import shutil

import pytest

from gdlab import store
from gdlab.store import chunks, listing
from tests.store import runs


def test_all_runs_and_nothing_else(tmp_path):
    for name in ("b", "sweep/lr=0.1", "sweep/lr=0.2", "sweep/deep/er/x", "<b>html</b>"):
        runs.record(tmp_path / name, 5)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "x.txt").write_text("x")
    shutil.copytree(tmp_path / "b", tmp_path / ".hidden")
    found = store.list_runs(tmp_path)
    # "<b>html<" is a folder that holds the run "b>".
    assert [name for name, _ in found] == [
        "<b>html</b>",
        "b",
        "sweep/deep/er/x",
        "sweep/lr=0.1",
        "sweep/lr=0.2",
    ]
    for name, summary in found:
        assert summary == store.open_run(tmp_path / name, name).summary()
        assert summary["name"] == name and summary["iterations"] == 5


def test_a_run_cannot_hide_the_others(tmp_path):
    for name in ("damaged", "empty log", "future", "good", "half", "no record", "truncated"):
        runs.record(tmp_path / name, 5)
    (tmp_path / "damaged" / "log.zarr" / "zarr.json").write_text("{")
    runs.edit(tmp_path / "future", lambda document: document["attributes"]["gdlab"].update(schema=9))
    shutil.rmtree(tmp_path / "half" / "log.zarr")
    (tmp_path / "no record" / "log.zarr" / "zarr.json").unlink()
    shutil.rmtree(tmp_path / "empty log" / "log.zarr")
    (tmp_path / "empty log" / "log.zarr").mkdir()
    os.truncate(tmp_path / "truncated" / "log.zarr" / "ls_end" / "c.0", 3)
    found = dict(store.list_runs(tmp_path))
    assert {name: type(item) for name, item in found.items()} == {
        "damaged": store.DamagedRun,
        "empty log": store.HalfWritten,
        "future": store.NewerSchema,
        "good": dict,
        "half": store.HalfWritten,
        "no record": store.DamagedRun,
        "truncated": store.DamagedRun,
    }


def test_states_in_the_list(tmp_path):
    runs.record(tmp_path / "done", 5)
    runs.record(tmp_path / "wild", 5, state="diverged")
    with runs.begin(tmp_path / "live"):
        forgotten = runs.begin(tmp_path / "gone")
        forgotten._lease.release()
        states = {name: summary["state"] for name, summary in store.list_runs(tmp_path)}
    assert states == {"done": "finished", "wild": "diverged", "live": "running", "gone": "crashed"}


def test_no_array_is_read(tmp_path, monkeypatch):
    runs.record(tmp_path / "run", 5)

    def forbidden(*arguments):
        raise AssertionError("an array was read")

    monkeypatch.setattr(chunks.Chunks, "_open", forbidden)
    assert store.list_runs(tmp_path)[0][1]["final_loss"] == runs.scalars([4])[0, 1]
    with pytest.raises(AssertionError):
        store.open_run(tmp_path / "run").array("path")


def test_links_are_not_followed(tmp_path):
    runs.record(tmp_path / "runs" / "a", 5)
    runs.record(tmp_path / "outside", 5)
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
    assert [name for name, _ in store.list_runs(tmp_path / "runs")] == ["a"]


def test_a_run_as_the_root(tmp_path):
    runs.record(tmp_path / "run", 5)
    assert [name for name, _ in store.list_runs(tmp_path / "run")] == ["run"]


def test_a_root_that_does_not_exist(tmp_path):
    with pytest.raises(store.NotARun, match="not a folder of runs"):
        store.list_runs(tmp_path / "nothing")
    assert store.list_runs(tmp_path) == []


def test_a_fault_of_the_reader_costs_one_row(tmp_path, monkeypatch):
    for name in ("a", "b"):
        runs.record(tmp_path / name, 5)
    summary = listing.summary

    def faulty(path, name, found):
        return 1 / 0 if name == "a" else summary(path, name, found)

    monkeypatch.setattr(listing, "summary", faulty)
    found = dict(store.list_runs(tmp_path))
    assert "ZeroDivisionError" in str(found["a"]) and isinstance(found["b"], dict)
