"""What is written is read back, by gdlab, zarr-python and xarray alike."""

import subprocess
import sys

import numpy as np
import pytest
import xarray
import zarr

from gdlab import store
from gdlab.records import STEP_COLUMNS, TRACE_COLUMNS
from gdlab.store import spec
from gdlab.store import writer as writers
from gdlab.store.migrations import migrated
from tests.store import runs


@pytest.fixture
def run(tmp_path):
    runs.record(tmp_path / "run", 100)
    return store.open_run(tmp_path / "run")


def test_every_array_comes_back(run):
    assert runs.check(run) == 100
    assert set(run.arrays) == set(runs.ARRAYS)
    assert run.columns("scalars") == STEP_COLUMNS and run.columns("path") == ()


def test_identity_config_and_state(run, tmp_path):
    assert run.config == migrated(runs.CONFIG)
    assert run.identity == {"numpy": np.__version__}
    assert (run.state, run.reason, run.generation, run.name) == ("finished", None, 0, "run")
    assert run.path == tmp_path / "run"


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (3, 17), (-5, None), (None, -90), (50, 10), (90, 1000)])
def test_array_slices_like_numpy(run, start, stop):
    wanted = runs.rows(0, 100)
    for name in runs.ARRAYS:
        found = run.array(name, start, stop)
        np.testing.assert_array_equal(found, wanted[name][start:stop])
        assert not found.flags.writeable


def test_rows_in_many_chunks_come_back_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(spec.layout, "__defaults__", (512,))
    runs.record(tmp_path / "run", 100)
    run = store.open_run(tmp_path / "run")
    assert run._layout("scalars").chunk_rows == 4
    runs.check(run)
    for start, stop in [(0, 9), (3, 4), (8, 12), (7, 33)]:
        np.testing.assert_array_equal(run.array("scalars", start, stop), runs.scalars(np.arange(start, stop)))
        loss = run.table("steps", start, stop).columns["loss"]
        np.testing.assert_array_equal(loss, runs.scalars(np.arange(start, stop))[:, 0])


def test_steps_have_one_dot_more_than_rows(run):
    table = run.table("steps")
    k = table.columns["iteration"]
    assert list(table.columns) == ["iteration", *STEP_COLUMNS]
    np.testing.assert_array_equal(k, np.arange(101))
    wanted = runs.scalars(np.arange(100))
    for i, name in enumerate(STEP_COLUMNS):
        np.testing.assert_array_equal(table.columns[name][:-1], wanted[:, i])
        assert name == "loss" or np.isnan(table.columns[name][-1])
    assert table.columns["loss"][-1] == wanted[-1, STEP_COLUMNS.index("loss_end")]
    assert all(table.dims[name] == ("iteration",) for name in table.columns)


def test_steps_in_a_window_and_few_columns(run):
    table = run.table("steps", 10, 20, columns=("slope", "iteration"))
    assert list(table.columns) == ["iteration", "slope"]
    np.testing.assert_array_equal(table.columns["iteration"], np.arange(10, 20))
    np.testing.assert_array_equal(table.columns["slope"], runs.scalars(np.arange(10, 20))[:, 4])
    np.testing.assert_array_equal(run.table("steps", 99).columns["iteration"], [99, 100])
    assert len(run.table("steps", 200).columns["loss"]) == 0


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 1), (5, 9), (99, 100), (7, 7), (100, 101)])
def test_evaluations_belong_to_their_iterations(run, start, stop):
    table = run.table("evaluations", start, stop)
    wanted = [(k, j) for k in range(start, min(stop or 100, 100)) for j in range(1 + k % 3)]
    pairs = zip(table.columns["iteration"].tolist(), table.columns["j"].tolist(), strict=True)
    assert list(pairs) == wanted
    first = runs.ends(start) if wanted else 0
    np.testing.assert_array_equal(table.columns["search"], np.sqrt(first + np.arange(len(wanted))))
    assert list(table.columns) == ["iteration", "j", *TRACE_COLUMNS]


@pytest.mark.parametrize("ends", [[5, 3], [-1, 3], [1, 10**12]])
def test_ends_that_do_not_fit_their_evaluations(tmp_path, ends):
    with runs.begin(tmp_path / "run") as writer:
        writer.append({**runs.rows(0, 2), "ls_end": np.array(ends)})
    with pytest.raises(store.DamagedRun, match="do not fit"):
        store.open_run(tmp_path / "run").table("evaluations")


def test_summary_comes_from_the_commit_record(run):
    summary = run.summary()
    values = runs.scalars(np.arange(100))
    assert summary["iterations"] == 100
    assert summary["first_loss"] == values[0, 0]
    assert summary["final_loss"] == values[-1, 1]
    assert summary["best_loss"] == values[:, :2].min()
    assert summary["hyperparameters"]["optimizer.sigma"] == 0.1
    assert summary["seconds"] > 0 and summary["started"] <= summary["updated"]


def test_losses_that_are_not_finite_survive_json(tmp_path):
    rows = runs.rows(0, 3)
    rows["scalars"][0, 0], rows["scalars"][2, 1] = np.nan, np.inf
    with runs.begin(tmp_path / "run") as writer:
        writer.append(rows)
        writer.set_status("diverged", "the loss is not finite")
    run = store.open_run(tmp_path / "run")
    assert np.isnan(run.summary()["first_loss"]) and run.summary()["final_loss"] == np.inf
    assert run.summary()["best_loss"] == np.nanmin(
        rows["scalars"][:, :2][np.isfinite(rows["scalars"][:, :2])]
    )
    assert (run.state, run.reason) == ("diverged", "the loss is not finite")


def test_a_run_without_rows(tmp_path):
    with runs.begin(tmp_path / "run") as writer:
        run = store.open_run(writer.path)
        assert run.summary()["first_loss"] is None and run.rows("scalars") == 0
        assert len(run.table("steps").columns["loss"]) == 0
        assert len(run.table("evaluations").columns["j"]) == 0
        assert len(run.envelope("loss").columns["minimum"]) == 0


def test_zarr_and_xarray_read_the_same(run):
    log = run.path / "log.zarr"
    group = zarr.open_group(log, mode="r")
    alone = {name: zarr.open_array(log / name, mode="r") for name in runs.ARRAYS}
    dataset = xarray.open_zarr(log)
    for name in runs.ARRAYS:
        for other in (group[name], alone[name]):
            assert other.dtype == run.array(name).dtype
            np.testing.assert_array_equal(other[:], run.array(name))
        np.testing.assert_array_equal(dataset[name].values, run.array(name))
    assert dataset["scalars"].dims[0] == dataset["ls_end"].dims[0] == "iteration"
    assert dataset["scalars"].attrs["columns"] == list(STEP_COLUMNS)
    levels = xarray.open_zarr(log, group="envelope/scalars")
    np.testing.assert_array_equal(levels["L1"].values, group["envelope/scalars/L1"][:])
    assert levels["L1"].shape == (100 // 16, runs.WIDTH, 3)


@pytest.mark.parametrize("dtype", ["bool", "i1", "u2", "i4", "u8", "f2", "f4", ">f8"])
def test_all_element_types(tmp_path, dtype):
    values = np.arange(24).reshape(6, 2, 2).astype(dtype)
    arrays = {"a/b": store.ArraySpec(dtype, (2, 2), ("x", "y"))}
    with runs.begin(tmp_path / "run", arrays=arrays, pyramids=()) as writer:
        writer.append({"a/b": values})
    run = store.open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.array("a/b"), values)
    np.testing.assert_array_equal(xarray.open_zarr(run.path / "log.zarr", group="a")["b"].values, values)


def test_names_that_do_not_exist_give_the_nearest(run):
    for call in (lambda: run.array("scalar"), lambda: run.rows("scalar"), lambda: run.columns("scalar")):
        with pytest.raises(store.UnknownName, match="did you mean 'scalars'"):
            call()
    with pytest.raises(store.UnknownName, match="did you mean 'steps'"):
        run.table("step")
    with pytest.raises(store.UnknownName, match="did you mean 'grad_norm'"):
        run.envelope("gradnorm")
    with pytest.raises(store.UnknownName, match="did you mean 'step_size'"):
        run.table("steps", columns=("stepsize",))


def test_appending_is_all_or_nothing(tmp_path):
    with runs.begin(tmp_path / "run") as writer:
        good = runs.rows(0, 4)
        bad = {"shape": good["scalars"][:, 1:], "one row": good["scalars"][0], "kind": good["scalars"] * 1j}
        for values in bad.values():
            with pytest.raises(store.BadRows, match="'scalars'"):
                writer.append({**good, "scalars": values})
        with pytest.raises(store.UnknownName, match="did you mean 'scalars'"):
            writer.append({**good, "scalers": good["scalars"]})
        with pytest.raises(store.UnknownName):
            writer.append({"envelope/scalars/L1": np.zeros((1, runs.WIDTH, 3))})
        assert set(writer.cursors().values()) == {0}


def test_a_commit_needs_rows_that_fit_together(tmp_path):
    with runs.begin(tmp_path / "run") as writer:
        rows = runs.rows(0, 4)
        writer.append({"scalars": rows.pop("scalars")})
        with pytest.raises(store.BadRows, match="'ls_end' 0, but both count 'iteration'"):
            writer.commit()
        writer.append(rows)
        writer.commit()
    assert runs.check(store.open_run(tmp_path / "run")) == 4


def test_the_caller_may_reuse_his_memory(tmp_path):
    with runs.begin(tmp_path / "run") as writer:
        rows = runs.rows(0, 4)
        writer.append(rows)
        rows["scalars"][:] = -1
    runs.check(store.open_run(tmp_path / "run"))


def test_readers_see_commits_only(tmp_path):
    with runs.begin(tmp_path / "run") as writer:
        run = store.open_run(tmp_path / "run")
        writer.append(runs.rows(0, 4))
        assert not run.refresh() and run.rows("scalars") == 0
        writer.commit(rate=3.5)
        assert run.rows("scalars") == 0, "a snapshot until it is refreshed"
        assert run.refresh() and run.rows("scalars") == 4 and run.status == {"rate": 3.5}
        assert not run.refresh()
        assert run.state == "running"


def test_arrays_can_be_opened_alone_while_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "_ARRAYS_SECONDS", 0.0)
    with runs.begin(tmp_path / "run") as live:
        live.append(runs.rows(0, 20))
        live.commit()
        array = zarr.open_array(tmp_path / "run" / "log.zarr" / "scalars", mode="r")
        np.testing.assert_array_equal(array[:], runs.scalars(np.arange(20)))


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (KeyboardInterrupt(), "interrupted", "stopped by the user"),
        (RuntimeError("no"), "failed", "RuntimeError: no"),
    ],
)
def test_leaving_by_an_exception_keeps_everything(tmp_path, error, state, reason):
    with pytest.raises(type(error)), runs.begin(tmp_path / "run") as writer:
        writer.append(runs.rows(0, 4))
        raise error
    run = store.open_run(tmp_path / "run")
    assert (run.state, run.reason, runs.check(run)) == (state, reason, 4)
    assert not (tmp_path / "run" / "LOCK").exists()


def test_a_closed_writer_says_so(tmp_path):
    writer = runs.begin(tmp_path / "run")
    writer.close()
    writer.close()
    assert store.open_run(tmp_path / "run").state == "interrupted"
    with pytest.raises(ValueError, match="closed"):
        writer.append(runs.rows(0, 1))
    with (
        pytest.raises(store.UnknownName, match="did you mean 'finished'"),
        runs.begin(tmp_path / "b") as writer,
    ):
        writer.set_status("finish")


def test_checkpoints_are_listed(run):
    for name in ("20", "3", "3.tmp", "x"):
        (run.path / "checkpoints" / name).mkdir(parents=True)
    assert run.checkpoints == (3, 20)


@pytest.mark.parametrize(
    ("spec_", "message"),
    [
        (store.ArraySpec("O"), "cannot be stored"),
        (store.ArraySpec("f8", (0,)), "at least one element"),
        (store.ArraySpec("f8", (2,), ("a", "a")), "distinct columns"),
        (store.ArraySpec("f8", (2,), ("a",)), "1 distinct columns"),
        (store.ArraySpec("f8", (2,), None, ("row",)), "dimension names"),
    ],
)
def test_wrong_specifications_are_refused(tmp_path, spec_, message):
    with pytest.raises(ValueError, match=message):
        runs.begin(tmp_path / "run", arrays={"a": spec_}, pyramids=())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", "", ".a", "a//b", "a\n"])
def test_array_names_stay_in_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="array name"):
        runs.begin(tmp_path / "run", arrays={name: store.ArraySpec()}, pyramids=())


def test_importing_the_store_loads_nothing_heavy():
    code = "import gdlab.store, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"jax", "pandas", "xarray", "zarr", "yaml"} & set(done.stdout.split())
