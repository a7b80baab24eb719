"""Derived rows are those that were written, or they are not there; whose they are can be asked."""

import json
import os
import shutil

import numpy as np
import pytest

from gdlab import store
from gdlab.store import seals
from tests.store import runs
from tests.store.test_checksums import flip

ARRAYS = {"curve": store.ArraySpec("f8", (5,)), "noise": store.ArraySpec("f4")}
VALUES = {"curve": np.arange(250.0).reshape(50, 5), "noise": np.arange(50, dtype="f4")}


@pytest.fixture
def run(tmp_path):
    runs.record(tmp_path / "run", 50)
    return store.open_run(tmp_path / "run")


def cache(run):
    return store.Derived(run, "x", {}, 50, ARRAYS)


@pytest.fixture
def filled(run):
    cache(run).write(0, VALUES)
    return run


@pytest.fixture
def another_user(tmp_path, monkeypatch):
    """Whoever asks next has another key."""

    def become():
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
        seals.own_key.cache_clear()

    yield become
    monkeypatch.undo()
    seals.own_key.cache_clear()


@pytest.mark.parametrize(("array", "width"), [("curve", 40), ("noise", 4), ("seal", seals.SEAL), ("done", 1)])
def test_a_flipped_bit_costs_its_row_alone(filled, array, width):
    file = next(path for path in (filled.path / "derived").rglob("c.0*") if path.parent.name == array)
    flip(file, 7 * width, 0)
    found = cache(filled)
    assert np.flatnonzero(~found.done(0, 50)).tolist() == [7]
    rows = cache(filled).read(0, 50)
    for name, wanted in VALUES.items():
        np.testing.assert_array_equal(np.delete(rows[name], 7, 0), np.delete(wanted, 7, 0))
        assert not rows[name][7].any()
    found.write(7, {name: array[7:8] for name, array in VALUES.items()})
    assert cache(filled).done(0, 50).all()


def test_rows_do_not_change_places(filled):
    """A row is sealed with its number and what it is of."""
    folder = next((filled.path / "derived").iterdir())
    for array, width in (("curve", 40), ("noise", 4), ("seal", seals.SEAL)):
        file = next(path for path in (folder / array).iterdir() if path.name.startswith("c."))
        data = bytearray(file.read_bytes())
        data[:width], data[width : 2 * width] = data[width : 2 * width], data[:width]
        file.write_bytes(data)
    assert np.flatnonzero(~cache(filled).done(0, 50)).tolist() == [0, 1]


def test_what_somebody_else_computed_is_known(filled, another_user):
    assert cache(filled).foreign(0, 50) == 0
    another_user()
    found = cache(filled)
    assert found.done(0, 50).all() and found.foreign(0, 50) == 50
    found.write(0, {name: array[:20] for name, array in VALUES.items()})
    assert cache(filled).foreign(0, 50) == 30 and cache(filled).foreign(0, 20) == 0


def test_the_key_is_kept_for_this_user_alone(another_user, tmp_path):
    another_user()
    key = seals.own_key()
    file = tmp_path / "elsewhere" / "gdlab" / "derived.key"
    assert file.read_bytes() == key and file.stat().st_mode & 0o777 == 0o600
    seals.own_key.cache_clear()
    assert seals.own_key() == key
    assert [path.name for path in file.parent.iterdir()] == ["derived.key"]


@pytest.mark.parametrize("make", [lambda p: p.write_text("short"), os.mkfifo, lambda p: p.mkdir()])
def test_a_key_that_cannot_be_kept(another_user, tmp_path, make):
    """Then there is one for this process: what it computed is its own as long as it lives."""
    (tmp_path / "elsewhere" / "gdlab").mkdir(parents=True)
    make(tmp_path / "elsewhere" / "gdlab" / "derived.key")
    another_user()
    assert len(seals.own_key()) == 32 and seals.own_key() == seals.own_key()


def test_results_of_before_are_used_and_are_nobodys(filled):
    """Caches of before have no seals: done is 1, and the group lists none."""
    folder = next((filled.path / "derived").iterdir())
    shutil.rmtree(folder / "seal")
    (folder / "done" / "c.0").write_bytes(
        bytes([1] * 50) + bytes((folder / "done" / "c.0").stat().st_size - 50)
    )
    document = json.loads((folder / "zarr.json").read_text())
    document["consolidated_metadata"]["metadata"].pop("seal")
    (folder / "zarr.json").write_bytes(runs.resealed(document))
    found = cache(filled)
    assert found.done(0, 50).all() and found.foreign(0, 50) == 50
    np.testing.assert_array_equal(found.read(0, 50)["curve"], VALUES["curve"])
    found.write(3, {name: array[3:5] for name, array in VALUES.items()})
    assert cache(filled).done(0, 50).all() and cache(filled).foreign(0, 50) == 48


@pytest.mark.parametrize("depth", ["derived", "cache", "array", "chunk"])
def test_nothing_is_written_through_a_link(filled, tmp_path, depth):
    """At any depth: what the link leads to stays as it was."""
    runs.record(tmp_path / "victim", 50)
    victim = tmp_path / "victim" / "log.zarr" / "ls_end"
    before = {path: path.read_bytes() for path in victim.iterdir()}
    folder = next((filled.path / "derived").iterdir())
    chunk = next(path for path in (folder / "curve").iterdir() if path.name.startswith("c."))
    place = {"derived": folder.parent, "cache": folder, "array": folder / "curve", "chunk": chunk}[depth]
    target = victim / "c.0" if depth == "chunk" else victim
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(target)
    found = cache(filled)
    try:
        found.write(0, VALUES)
    except store.StoreError as error:
        assert "link" in str(error)
    assert {path: path.read_bytes() for path in victim.iterdir()} == before
    if depth != "derived":
        assert not cache(filled).done(0, 50).any() or cache(filled).read(0, 50)["curve"][3, 1] == 16
    assert {path: path.read_bytes() for path in victim.iterdir()} == before


def test_a_file_with_two_names_is_not_written_in_place(filled, tmp_path):
    """A backup by hard links keeps what it backed up; so does one of a run that is resumed."""
    shutil.copytree(filled.path, tmp_path / "backup", copy_function=os.link)
    before = {path: path.read_bytes() for path in (tmp_path / "backup").rglob("c.*")}
    cache(filled).write(0, {name: array[1:2] for name, array in VALUES.items()})
    with store.RunWriter.resume(filled.path, config=runs.CONFIG) as writer:
        writer.append(runs.rows(50, 60))
    assert {path: path.read_bytes() for path in (tmp_path / "backup").rglob("c.*")} == before
