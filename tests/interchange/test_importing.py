"""What an import leaves behind: whole runs, no second time, what has grown added, nothing half written."""

import os
import shutil

import numpy as np
import pytest

import gdlab
from gdlab.interchange import placing, rows
from gdlab.interchange.source import Series, Unreadable
from gdlab.recorder import rows as recorder_rows
from gdlab.records import DIVERGED, OK
from gdlab.store import RunWriter
from tests.interchange.making import event_file, falling, scalars


def column(run, name):
    return np.array(run.array("scalars")[:, run.columns("scalars").index(name)])


def said(done):
    return {word: number for word, number in done.counts.items() if number}


def everything(root):
    """{path: bytes} of all files below a folder."""
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_imported_run_is_as_the_recorder_would_have_made_it(tmp_path):
    pairs = falling(range(3, 20))
    event_file(tmp_path / "logs", [*scalars(pairs), *scalars([(5, 0.25)], tag=b"reward")])
    gdlab.import_runs(tmp_path / "logs", tmp_path / "imported")
    with gdlab.Recorder(tmp_path / "recorded") as recorder:
        for step, value in pairs:
            recorder.write(step, loss=value)
            if step == 5:
                recorder.write(step, reward=0.25)
    imported, recorded = (gdlab.open_run(tmp_path / name) for name in ("imported", "recorded"))
    assert set(imported.arrays) == set(recorded.arrays)
    for name in recorded.arrays:
        assert imported._layout(name) == recorded._layout(name)
        one, other = np.array(imported.array(name)), np.array(recorded.array(name))
        if name == "scalars":
            at = imported.columns("scalars").index("seconds")
            one, other = np.delete(one, at, axis=1), np.delete(other, at, axis=1)
        np.testing.assert_array_equal(one, other)
    assert imported.config == recorded.config == {"recorder": 1, "config": {}}
    np.testing.assert_array_equal(column(imported, "seconds"), np.arange(17))
    assert imported.summary()["seconds"] == 16.0 and imported.summary()["started"] == 1.7e9


def test_both_know_the_same_arrays():
    assert (rows.SCALARS, rows.METRIC, rows.ITERATION) == (
        recorder_rows.SCALARS,
        recorder_rows.METRIC,
        recorder_rows.ITERATION,
    )
    assert rows.REACH == recorder_rows.REACH and set(rows.GIVEN) == set(recorder_rows.GIVEN) - {"loss"}


def test_what_is_there_is_not_imported_again_and_what_has_grown_is_added(tmp_path):
    event_file(tmp_path / "logs" / "a", scalars(falling(range(10))))
    event_file(tmp_path / "logs" / "b", scalars(falling(range(4))))
    assert said(gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")) == {"imported": 2}
    before = everything(tmp_path / "runs")
    assert said(gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")) == {"already there": 2}
    assert everything(tmp_path / "runs") == before
    id_before = gdlab.open_run(tmp_path / "runs" / "a").key.id
    event_file(tmp_path / "logs" / "a", [*scalars(falling(range(30))), *scalars([(7, 1.0)], tag=b"late")])
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    assert said(done) == {"extended": 1, "already there": 1} and done.points == 31
    run = gdlab.open_run(tmp_path / "runs" / "a")
    np.testing.assert_array_equal(column(run, "loss"), [value for _, value in falling(range(30))])
    assert run.array("metric/late").tolist() == [[7.0, 1.0]] and run.verify() == []
    assert run.key.id == id_before and run.summary()["seconds"] == 29.0
    assert said(gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")) == {"already there": 2}


def test_a_source_that_was_written_anew_is_imported_anew(tmp_path):
    event_file(tmp_path / "logs", scalars(falling(range(10))))
    gdlab.import_runs(tmp_path / "logs", tmp_path / "run")
    event_file(tmp_path / "logs", scalars([(step, 5.0) for step in range(4)]))
    assert said(gdlab.import_runs(tmp_path / "logs", tmp_path / "run")) == {"made anew": 1}
    np.testing.assert_array_equal(column(gdlab.open_run(tmp_path / "run"), "loss"), [5.0] * 4)
    assert said(gdlab.import_runs(tmp_path / "logs", tmp_path / "run", loss="none")) == {"made anew": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "run"]


def test_other_runs_and_files_are_left_alone(tmp_path):
    event_file(tmp_path / "logs" / "own", scalars(falling(range(3))))
    event_file(tmp_path / "logs" / "other", scalars(falling(range(3))))
    with gdlab.Recorder(tmp_path / "runs" / "own") as recorder:
        recorder.write(0, loss=1.0)
    before = everything(tmp_path / "runs" / "own")
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    assert said(done) == {"imported": 1} and "holds something else" in done.skipped[0][1]
    assert everything(tmp_path / "runs" / "own") == before
    shutil.copytree(tmp_path / "logs", tmp_path / "more")
    done = gdlab.import_runs(tmp_path / "more" / "other", tmp_path / "runs" / "other")
    assert "imported from" in done.skipped[0][1]


def test_steps_that_come_again_or_go_back_cut_as_the_recorder_does(tmp_path):
    steps = [0, 1, 2, 3, 3, 4, 2, 3, 7, 5, 6]
    messages = scalars([(step, float(place)) for place, step in enumerate(steps)])
    event_file(tmp_path / "logs", messages)
    gdlab.import_runs(tmp_path / "logs", tmp_path / "imported")
    with pytest.warns(UserWarning), gdlab.Recorder(tmp_path / "recorded") as recorder:
        for place, step in enumerate(steps):
            recorder.write(step, loss=float(place))
    imported, recorded = (gdlab.open_run(tmp_path / name) for name in ("imported", "recorded"))
    np.testing.assert_array_equal(column(imported, "loss"), column(recorded, "loss"))
    assert column(imported, "loss").tolist() == [0.0, 1.0, 6.0, 7.0, 9.0, 10.0]
    assert "5 numbers given up" in imported.summary()["status"]["notes"]


def test_a_naive_loop_settles_the_same():
    rng = np.random.default_rng(0)
    for _ in range(200):
        steps = rng.integers(0, 12, rng.integers(1, 20))
        values = rng.normal(size=len(steps))
        kept: list = []
        for step, value in zip(steps, values, strict=True):
            kept = [pair for pair in kept if pair[0] < step] + [(step, value)]
        one = rows.settled(Series(steps, values, values))
        assert list(zip(one.step, one.value, strict=True)) == kept


def test_nan_and_inf_are_kept_and_a_loss_that_is_one_is_a_divergence(tmp_path):
    values = [1.0, float("inf"), float("nan"), float("-inf"), 0.5]
    event_file(tmp_path / "logs", [*scalars(enumerate(values)), *scalars(enumerate(values), tag=b"x")])
    gdlab.import_runs(tmp_path / "logs", tmp_path / "run")
    run = gdlab.open_run(tmp_path / "run")
    np.testing.assert_array_equal(column(run, "loss"), values)
    np.testing.assert_array_equal(run.array("metric/x")[:, 1], values)
    np.testing.assert_array_equal(column(run, "status"), [OK, DIVERGED, DIVERGED, DIVERGED, OK])


def test_hyper_parameters_are_read_off_the_folders_where_nothing_else_says_them(tmp_path):
    for rate in ("0.1", "1e-3"):
        event_file(tmp_path / "logs" / f"lr={rate},seed=3" / "version_0", scalars(falling(range(3))))
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    configs = [gdlab.open_run(path).config["config"] for path in done.folders]
    assert sorted(configs, key=str) == [{"lr": 0.001, "seed": 3}, {"lr": 0.1, "seed": 3}]


@pytest.mark.parametrize("stop", ["append", "commit", "set_status", "close"])
def test_an_import_that_is_killed_leaves_nothing_half_written(tmp_path, monkeypatch, stop):
    event_file(tmp_path / "logs", scalars(falling(range(5))))

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, stop, killed)
        with pytest.raises(KeyboardInterrupt):
            gdlab.import_runs(tmp_path / "logs", tmp_path / "runs" / "new")
    assert not list((tmp_path / "runs").iterdir())
    assert said(gdlab.import_runs(tmp_path / "logs", tmp_path / "runs" / "new")) == {"imported": 1}
    event_file(tmp_path / "logs", scalars(falling(range(9))))
    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, stop, killed)
        with pytest.raises(KeyboardInterrupt):
            gdlab.import_runs(tmp_path / "logs", tmp_path / "runs" / "new")
    run = gdlab.open_run(tmp_path / "runs" / "new")
    assert run.rows("scalars") in (5, 9) and run.verify() == []
    gdlab.import_runs(tmp_path / "logs", tmp_path / "runs" / "new")
    run = gdlab.open_run(tmp_path / "runs" / "new")
    assert (run.rows("scalars"), run.state) == (9, "finished")
    assert os.listdir(tmp_path / "runs") == ["new"]


def test_what_a_killed_import_has_left_is_cleared_away(tmp_path):
    event_file(tmp_path / "logs", scalars(falling(range(5))))
    for name in (
        ".run.4194305.part",
        ".run.4194305.old",
        f".run.{os.getpid()}.other",
        ".another.4194305.part",
    ):
        (tmp_path / "runs" / name).mkdir(parents=True)
    gdlab.import_runs(tmp_path / "logs", tmp_path / "runs" / "run")
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert left == [".another.4194305.part", f".run.{os.getpid()}.other", "run"]


def test_a_run_that_cannot_be_made_anew_stays_what_it_was(tmp_path, monkeypatch):
    event_file(tmp_path / "logs", scalars(falling(range(10))))
    gdlab.import_runs(tmp_path / "logs", tmp_path / "runs" / "run")
    before = everything(tmp_path / "runs")
    event_file(tmp_path / "logs", scalars([(0, 5.0)]))

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunWriter, "append", killed)
        gdlab.import_runs(tmp_path / "logs", tmp_path / "runs" / "run")
    assert everything(tmp_path / "runs") == before


def test_a_full_disk_ends_the_import_and_keeps_what_is_whole(tmp_path, monkeypatch):
    from gdlab.store import DiskFull

    for name in "ab":
        event_file(tmp_path / "logs" / name, scalars(falling(range(5))))
    made = []

    def create(folder, *arguments):
        if made:
            raise DiskFull("disk full")
        made.append(folder)
        return whole(folder, *arguments)

    whole = placing.create
    monkeypatch.setattr(placing, "create", create)
    with pytest.raises(DiskFull):
        gdlab.import_runs(tmp_path / "logs", tmp_path / "runs")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["a"]


def test_progress_tells_how_much_is_done(tmp_path):
    for number in range(4):
        event_file(tmp_path / "logs" / str(number), scalars(falling(range(5))))
    told = []
    gdlab.import_runs(
        tmp_path / "logs", tmp_path / "runs", progress=lambda share, words: told.append((share, words))
    )
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[0] == 0 and told[-1] == (1.0, "4 runs looked at")


def test_what_is_asked_for_and_not_there_is_said(tmp_path):
    event_file(tmp_path / "logs", scalars(falling(range(3))))
    done = gdlab.import_runs(tmp_path / "logs", tmp_path / "runs", loss="train/los")
    assert done.folders == [] and "no metric 'train/los'" in done.skipped[0][1]
    assert "there is 'train/loss'" in done.skipped[0][1] and not (tmp_path / "runs").exists()
    with pytest.raises(Unreadable, match="does not exist"):
        gdlab.import_runs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Unreadable, match=r"no record is there; read are event files"):
        gdlab.import_runs(tmp_path / "empty")
