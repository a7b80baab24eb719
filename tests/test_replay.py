"""Replay gives the recorded bits again, from any iteration, and says so where it does not."""

import shutil

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gdlab import store
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from tests import recording
from tests.apart import run_apart

MAKERS = {"rosenbrock": recording.rosenbrock, "digits": recording.digits, "galaxy": recording.galaxy}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    for name, make in MAKERS.items():
        make(root / name)
    return {name: root / name for name in MAKERS}


def column(run, name):
    return np.array(run.array("scalars")[:, run.columns("scalars").index(name)])


def altered(folder, copy, iteration, name, change):
    """A copy of the run in which one recorded number is another one."""
    shutil.copytree(folder, copy)
    run = store.open_run(copy)
    columns = run.columns("scalars")
    (chunk,) = (copy / "log.zarr" / "scalars").glob("c*0*0*") or [None]
    rows = np.memmap(chunk, dtype="<f8", mode="r+").reshape(-1, len(columns))
    assert rows[iteration, columns.index(name)] == column(run, name)[iteration]
    rows[iteration, columns.index(name)] += change
    rows.flush()
    return copy


@pytest.mark.parametrize("name", MAKERS)
def test_replayed_bits_are_the_recorded_ones(folders, name):
    replay = Replay(folders[name])
    rows = replay.run.rows("scalars")
    path = np.array(replay.run.array("path"))
    names = [n for n in replay.columns if n not in ("descent", "epoch", "seconds")]
    recorded = {n: column(replay.run, n) for n in names}
    steps = list(replay.steps(0, rows))
    assert [step.iteration for step in steps] == list(range(rows))
    with replay.in_precision():
        for step in steps:
            for n in names:
                assert float(getattr(step.info, n)) == recorded[n][step.iteration], (n, step.iteration)
            np.testing.assert_array_equal(ravel_pytree(step.params)[0], path[step.iteration])
            after = ravel_pytree(step.params)[0] + ravel_pytree(step.updates)[0]
            np.testing.assert_allclose(after, path[step.iteration + 1], rtol=1e-6, atol=1e-7)
    assert replay.report()[:3] == (rows, 0, 0.0)


@pytest.mark.parametrize(("name", "start"), [("digits", 5), ("digits", 23), ("galaxy", 13)])
def test_a_replay_may_begin_anywhere(folders, monkeypatch, name, start):
    replay, begun = Replay(folders[name]), []
    advance = Replay._advance

    def noted(self, state, count):
        begun.append(int(state.step))
        return advance(self, state, count)

    monkeypatch.setattr(Replay, "_advance", noted)
    earlier = max(step for step in replay.run.checkpoints if step <= start)
    losses = [float(step.info.loss) for step in replay.steps(start, 1000)]
    np.testing.assert_array_equal(losses, column(replay.run, "loss")[start:])
    assert begun[0] == earlier, "it went on from the checkpoint, not from the beginning"
    assert replay.report().different == 0 and replay.report().compared >= len(losses)


def test_the_digits_run_has_checkpoints_to_begin_between(folders):
    kept = store.open_run(folders["digits"]).checkpoints
    assert len(kept) > 3 and set(range(24)) - set(kept)


@pytest.mark.parametrize("name", ["loss", "loss_end"])
def test_an_altered_record_is_reported_with_the_size_of_the_difference(folders, tmp_path, monkeypatch, name):
    # Checksums find accidents, not authors: this one has made them anew.
    monkeypatch.setattr("gdlab.store.chunks.Chunks._verify", lambda *arguments: None)
    replay = Replay(altered(folders["rosenbrock"], tmp_path / "altered", 3, name, 0.25))
    list(replay.steps(0, 10))
    report = replay.report()
    assert report.compared >= 10 and report.different == 1  # the copy knows what was replayed before it
    assert report.largest == pytest.approx(0.25)


def test_what_changed_on_the_machine_is_reported(folders, monkeypatch):
    replay = Replay(folders["rosenbrock"])
    assert replay.report().changed == []
    identity = {**replay.run.identity, "cores": 4096}
    monkeypatch.setattr(type(replay.run), "identity", identity)
    assert any("4096" in text for text in replay.report().changed)


@pytest.mark.parametrize("name", MAKERS)
def test_parameters_come_from_the_path_and_are_the_replayed_ones(folders, tmp_path, name):
    replay = Replay(folders[name])
    without = Replay(MAKERS[name](tmp_path / "run", path=False).path)
    assert "path" not in without.run.arrays
    for iteration in (0, 7, replay.run.rows("scalars")):
        params = replay.params(iteration)
        path = replay.run.array("path", iteration, iteration + 1)[0]
        with replay.in_precision():
            np.testing.assert_array_equal(ravel_pytree(params)[0], path)
        assert jax.tree.structure(params) == jax.tree.structure(without.params(iteration))
    # Not recorded, hence another program: the same descent, not the same bits.
    with replay.in_precision():
        found = ravel_pytree(without.params(7))[0]
    np.testing.assert_allclose(found, replay.run.array("path", 7, 8)[0], rtol=1e-3, atol=1e-4)


def test_a_replay_that_is_cancelled_can_be_asked_again(folders):
    replay = Replay(folders["galaxy"])

    def cancel(fraction, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(replay.steps(13, 20, cancel))
    assert [step.iteration for step in replay.steps(13, 15)] == [13, 14]


def test_runs_of_both_precisions_are_probed_in_turn(folders):
    for name in ("rosenbrock", "digits", "rosenbrock"):
        table = run_probe(folders[name], "segments", {"start": 2, "stop": 4})
        assert table.attrs["replay"]["different"] == 0
        shutil.rmtree(folders[name] / "derived")
    table = run_probe(folders["digits"], "smoothness", {"start": 2, "stop": 4})
    assert table.attrs["replay"]["different"] == 0


def test_a_notebook_probes_in_the_precision_of_the_run(folders):
    """Where an event loop is running, orbax restores in a thread of its own."""

    async def cell():
        return [
            run_probe(folders[name], "segments", {"start": 2, "stop": 4}) for name in ("rosenbrock", "digits")
        ]

    for _ in range(2):
        assert all(table.attrs["replay"]["different"] == 0 for table in run_apart(cell()))
        for name in ("rosenbrock", "digits"):
            shutil.rmtree(folders[name] / "derived")


@pytest.mark.parametrize("wrong", [-1, 28, 10**9])
def test_parameters_of_an_iteration_that_there_is_not_are_refused(tmp_path, wrong):
    replay = Replay(recording.rosenbrock(tmp_path / "run").path)
    assert np.isfinite(np.asarray(replay.params(27))).all()
    with pytest.raises(ValueError, match="allowed: 0 to 27"):
        replay.params(wrong)
