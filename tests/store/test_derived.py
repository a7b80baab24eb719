"""The cache of derived rows: filled in any order, trusted only where it is whole."""

import os
import shutil
import threading

import numpy as np
import pytest
import zarr

from gdlab import store
from tests.store import runs

ARRAYS = {"curve": store.ArraySpec("f8", (5,)), "noise": store.ArraySpec("f4")}


@pytest.fixture
def run(tmp_path):
    runs.record(tmp_path / "run", 50)
    return store.open_run(tmp_path / "run")


def segments(run, parameters=None, rows=50, arrays=ARRAYS, **options):
    return store.Derived(run, "segments", parameters or {"points": 5}, rows, arrays, **options)


def values(start, stop):
    k = np.arange(start, stop)
    return {"curve": k[:, None] + np.linspace(0, 1, 5), "noise": (k / 8).astype("f4")}


def test_rows_in_any_order(run):
    cache = segments(run)
    assert not cache.done(0, 50).any()
    assert not os.path.exists(run.path / "derived"), "looking writes nothing"
    for start, stop in [(30, 33), (3, 9), (9, 10), (49, 50), (5, 7)]:
        cache.write(start, values(start, stop))
    again = segments(run)
    wanted = np.isin(np.arange(50), [*range(3, 10), 30, 31, 32, 49])
    np.testing.assert_array_equal(again.done(0, 50), wanted)
    np.testing.assert_array_equal(again.done(29, 31), [False, True])
    found = again.read(0, 50)
    for name, array in values(0, 50).items():
        np.testing.assert_array_equal(found[name][wanted], array[wanted])
        assert not found[name][~wanted].any()
        assert found[name].dtype == array.dtype


def test_nan_is_a_value(run):
    segments(run).write(0, {"curve": np.full((2, 5), np.nan), "noise": np.full(2, np.nan)})
    assert segments(run).done(0, 3).tolist() == [True, True, False]
    assert np.isnan(segments(run).read(0, 2)["curve"]).all()


def test_rows_may_grow(run):
    cache = segments(run, rows=None)
    cache.write(0, values(0, 10))
    cache.write(70_000, values(70_000, 70_010))
    again = segments(run, rows=None)
    assert np.flatnonzero(again.done(0, 80_000)).tolist() == [*range(10), *range(70_000, 70_010)]
    np.testing.assert_array_equal(again.read(69_999, 70_010)["curve"][1:], values(70_000, 70_010)["curve"])
    group = zarr.open_group(cache.path, mode="r")
    assert group["curve"].shape == (70_010, 5) and (group["done"][:] > 0).sum() == 20


def test_another_question_is_another_cache(run, tmp_path):
    segments(run).write(0, values(0, 3))
    same = segments(run, {"points": 5})
    others = [
        segments(run, {"points": 6}),
        segments(run, version="2"),
        segments(run, arrays={**ARRAYS, "noise": store.ArraySpec("f8")}),
        store.Derived(run, "noise", {"points": 5}, 50, ARRAYS),
    ]
    assert same.done(0, 3).all()
    assert not any(cache.done(0, 3).any() for cache in others)
    assert len({cache.path for cache in (same, *others)}) == 5


def damage_chunk(path):
    os.truncate(next(path.glob("curve/c.*")), 8)


DAMAGE = {
    "truncated chunk": damage_chunk,
    "missing chunk": lambda path: next(path.glob("curve/c.*")).unlink(),
    "missing array": lambda path: shutil.rmtree(path / "noise"),
    "truncated mask": lambda path: os.truncate(next(path.glob("done/c.*")), 8),
    "record": lambda path: (path / "zarr.json").write_text("{"),
    "another layout": lambda path: (path / "zarr.json").write_bytes(
        (path.parents[1] / "log.zarr" / "zarr.json").read_bytes()
    ),
    "link": lambda path: (
        next(path.glob("curve/c.*")).unlink(),
        (path / "curve" / "c.0.0").symlink_to("/dev/zero"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_cache_is_computed_again(run, damage):
    cache = segments(run)
    cache.write(0, values(0, 20))
    damage(run.path / "derived" / os.path.basename(cache.path))
    for again in (segments(run), cache):
        assert not again.done(0, 20).any()
    cache.write(0, values(0, 20))
    np.testing.assert_array_equal(segments(run).read(0, 20)["curve"], values(0, 20)["curve"])
    assert segments(run).done(0, 20).all()


def test_a_cache_that_was_removed_meanwhile(run):
    cache = segments(run)
    cache.write(0, values(0, 20))
    shutil.rmtree(run.path / "derived")
    assert not cache.done(0, 20).any()
    cache.write(0, values(0, 20))
    assert segments(run).done(0, 20).all()


def test_a_linked_cache_folder_is_not_written(run, tmp_path):
    (tmp_path / "outside").mkdir()
    (run.path / "derived").symlink_to(tmp_path / "outside")
    with pytest.raises(store.DamagedRun, match="leads out"):
        segments(run).write(0, values(0, 3))
    assert not any((tmp_path / "outside").rglob("c.*"))


@pytest.mark.parametrize(
    ("start", "rows", "message"),
    [
        (49, values(0, 2), "rows 49 to 51 of 50"),
        (-1, values(0, 2), "rows -1"),
        (0, {"curve": np.zeros((2, 5))}, "'noise' are missing"),
        (0, {**values(0, 2), "noise": np.zeros(3)}, "different numbers of rows"),
        (0, {**values(0, 2), "curve": np.zeros((2, 4))}, "rows of shape"),
        (0, {**values(0, 2), "curves": 0}, "did you mean 'curve'"),
    ],
)
def test_rows_that_do_not_fit_are_refused(run, start, rows, message):
    with pytest.raises(store.StoreError, match=message):
        segments(run).write(start, rows)
    assert not (run.path / "derived").exists()


def test_writers_at_the_same_time(run):
    def fill(offset):
        cache = segments(run)
        for start in range(offset, 48, 4):
            cache.write(start, values(start, start + 2))

    threads = [threading.Thread(target=fill, args=(offset,)) for offset in (0, 1, 2, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert segments(run).done(0, 48).all()
    np.testing.assert_array_equal(segments(run).read(0, 48)["curve"], values(0, 48)["curve"])
