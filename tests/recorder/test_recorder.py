"""What a loop of one's own leaves in a run folder, whatever the loop does."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdlab
from gdlab import store
from gdlab.recorder.recorder import RecordingWarning
from gdlab.records import DIVERGED, OK, STEP_COLUMNS
from gdlab.store import files, kept, tables

PARAMS = {"a": {"w": jnp.arange(4.0)}, "b": jnp.ones(3)}
SEEN = jax.jit(lambda scale: gdlab.observe(
    loss=scale, params=PARAMS, grads=PARAMS, updates=jax.tree.map(lambda leaf: -scale * leaf, PARAMS),
))  # fmt: skip


def _column(run, name):
    return np.array(run.array("scalars")[:, run.columns("scalars").index(name)])


def _steps(run):
    return tables.iterations(run)


def test_numbers_alone_make_a_run(tmp_path):
    with gdlab.Recorder(tmp_path / "r", config={"learning_rate": 0.1, "net": {"width": 8}}) as recorder:
        for step in range(20):
            recorder.write(step, loss=1 / (1 + step), reward=step**2)
            if step % 5 == 0:
                recorder.write(step, {"test/accuracy": step / 20})
    run = gdlab.open_run(tmp_path / "r")
    assert (run.state, run.reason, run.rows("scalars")) == ("finished", None, 20)
    np.testing.assert_array_equal(_column(run, "loss"), 1 / (1 + np.arange(20)))
    assert np.all(np.isnan(_column(run, "grad_norm")))
    assert "iteration" not in run.arrays
    assert list(run.to_pandas("metric/reward").index) == list(range(20))
    table = run.table("metric/reward").columns
    np.testing.assert_array_equal(table["iteration"], np.arange(20))
    np.testing.assert_array_equal(table["value"], np.arange(20.0) ** 2)
    np.testing.assert_array_equal(run.table("metric/test/accuracy").columns["iteration"], [0, 5, 10, 15])
    assert run.summary()["final_loss"] == 1 / 20
    assert run.config == {"recorder": 1, "config": {"learning_rate": 0.1, "net": {"width": 8}}}


def test_iterations_that_are_not_looked_at_leave_no_row_but_their_parameters(tmp_path):
    @partial(jax.jit, static_argnames="look")
    def step(params, look):
        return jax.tree.map(lambda leaf: leaf - 1, params), gdlab.observe(loss=1.0, params=params, when=look)

    params = PARAMS
    with gdlab.Recorder(tmp_path / "r", strict=True, moments=[5, 10]) as recorder:
        recorder.start(params)
        for k in range(31):
            params, seen = step(params, look=k % 10 == 0)
            recorder.write(k, seen, params=params)
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_steps(run), [0, 10, 20, 30])
    assert np.all(_column(run, "loss") == 1)
    assert kept.names(run.path, kept.MOMENTS) == [5, 10]
    assert kept.names(run.path, kept.POINTS)[-1] == 31


def test_observations_become_columns_and_layers(tmp_path):
    with gdlab.Recorder(tmp_path / "r") as recorder:
        for step in range(5):
            recorder.write(step, SEEN(step + 1.0))
    run = gdlab.open_run(tmp_path / "r")
    norm = np.sqrt(14 + 3)
    np.testing.assert_allclose(_column(run, "loss"), np.arange(1, 6))
    np.testing.assert_allclose(_column(run, "grad_norm"), norm, rtol=1e-6)
    np.testing.assert_allclose(_column(run, "update_norm"), np.arange(1, 6) * norm, rtol=1e-6)
    np.testing.assert_allclose(_column(run, "slope"), -np.arange(1, 6) * 17, rtol=1e-6)
    np.testing.assert_array_equal(_column(run, "step_size"), 1)
    assert run.columns("layer/update_norm") == ("a", "b")
    np.testing.assert_allclose(run.array("layer/param_norm"), [[np.sqrt(14), np.sqrt(3)]] * 5, rtol=1e-6)


def test_a_scan_brings_a_chunk_of_rows(tmp_path):
    chunk = jax.jit(lambda scales: jax.lax.scan(lambda c, s: (c, SEEN(s)), 0, scales)[1])
    with gdlab.Recorder(tmp_path / "a") as recorder:
        for first in range(0, 12, 4):
            recorder.write(first, chunk(jnp.arange(first + 1.0, first + 5.0)), accuracy=jnp.arange(4.0))
            recorder.write(first + 3, checked=first)
    with gdlab.Recorder(tmp_path / "b") as recorder:
        for step in range(12):
            recorder.write(step, SEEN(step + 1.0), accuracy=step % 4)
    one, other = (gdlab.open_run(tmp_path / name) for name in "ab")
    for name in set(STEP_COLUMNS) - {"seconds", "loss_end"}:
        np.testing.assert_array_equal(_column(one, name), _column(other, name), err_msg=name)
    for name in ("layer/param_norm", "layer/slope", "metric/accuracy"):
        np.testing.assert_array_equal(one.array(name), other.array(name))
    np.testing.assert_array_equal(one.array("metric/checked"), [[3, 0], [7, 4], [11, 8]])


@pytest.mark.parametrize("steps", [range(1, 9), range(0, 50, 10), (0, 1, 2, 5, 9, 100)])
def test_rows_know_which_iterations_they_are(tmp_path, steps):
    with gdlab.Recorder(tmp_path / "r", commit_seconds=1e-3) as recorder:
        for step in steps:
            recorder.write(step, loss=float(step))
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_steps(run), steps)
    np.testing.assert_array_equal(_column(run, "loss"), steps)
    np.testing.assert_array_equal(run.to_pandas().index, steps)
    np.testing.assert_array_equal(run.to_xarray().iteration, steps)


def test_one_iteration_may_be_written_in_parts(tmp_path):
    with gdlab.Recorder(tmp_path / "r") as recorder:
        for step in range(3):
            recorder.write(step, accuracy=0.5)
            recorder.write(step, SEEN(1.0))
            recorder.write(step, epoch=step)
    run = gdlab.open_run(tmp_path / "r")
    assert run.rows("scalars") == 3
    np.testing.assert_array_equal(_column(run, "epoch"), np.arange(3))
    np.testing.assert_array_equal(_column(run, "loss"), 1)
    assert run.rows("metric/accuracy") == 3


def test_layers_that_come_late_or_seldom_have_nothing_elsewhere(tmp_path):
    with gdlab.Recorder(tmp_path / "r", commit_seconds=1e-3) as recorder:
        for step in range(8):
            recorder.write(step, SEEN(1.0) if step in (4, 6) else None, loss=1.0)
            if step == 2:
                while gdlab.open_run(tmp_path / "r").rows("scalars") < 1:
                    threading.Event().wait(0.01)  # rows without layers are committed
    run = gdlab.open_run(tmp_path / "r")
    seen = np.isfinite(run.array("layer/param_norm")[:, 0])
    np.testing.assert_array_equal(np.flatnonzero(seen), [4, 6])


def test_what_is_not_finite_is_recorded_as_it_is(tmp_path):
    losses = [1.0, np.inf, np.nan, -np.inf, 2.0]
    with gdlab.Recorder(tmp_path / "r") as recorder:
        for step, loss in enumerate(losses):
            recorder.write(step, loss=loss, reward=-loss)
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_column(run, "loss"), losses)
    np.testing.assert_array_equal(run.array("metric/reward")[:, 1], -np.array(losses))
    np.testing.assert_array_equal(_column(run, "status"), [OK, DIVERGED, DIVERGED, DIVERGED, OK])
    assert run.state == "finished"


def test_a_loop_that_goes_back_cuts_what_came_after(tmp_path):
    message = "iteration 3 came after 7: what was recorded from 3 on is cut"
    with pytest.warns(RecordingWarning, match=message), gdlab.Recorder(tmp_path / "r") as recorder:
        for place, step in enumerate((*range(8), *range(3, 6))):
            recorder.write(step, SEEN(1.0), place=place)
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_steps(run), np.arange(6))
    np.testing.assert_array_equal(run.array("metric/place"), [*enumerate(range(3)), (3, 8), (4, 9), (5, 10)])
    assert "cut" in run.status["notes"]


@pytest.mark.parametrize("again", [5, 10, 12])
def test_a_run_goes_on_where_its_loop_does(tmp_path, again):
    with gdlab.Recorder(tmp_path / "r", config={"a": 1}) as recorder:
        for step in range(10):
            recorder.write(step, SEEN(1.0), first=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        with gdlab.Recorder(tmp_path / "r", resume=True) as recorder:
            for step in range(again, 15):
                recorder.write(step, SEEN(2.0), second=1)
    run = gdlab.open_run(tmp_path / "r")
    kept = min(again, 10)
    np.testing.assert_array_equal(_steps(run), [*range(kept), *range(again, 15)])
    np.testing.assert_array_equal(_column(run, "loss"), [1.0] * kept + [2.0] * (15 - again))
    assert run.rows("metric/first") == kept
    assert run.config["config"] == {"a": 1}
    assert np.all(np.diff(_column(run, "seconds")) >= 0)


def test_a_folder_that_cannot_be_used_is_refused_before_the_training(tmp_path):
    with gdlab.Recorder(tmp_path / "r", config={"a": 1}) as recorder:
        recorder.write(0, loss=1.0)
    with pytest.raises(store.RunExists, match="holds this run already"):
        gdlab.Recorder(tmp_path / "r", config={"a": 1})
    with pytest.raises(store.ConfigMismatch, match=r"config\.a: the folder has 1, asked for 2"):
        gdlab.Recorder(tmp_path / "r", config={"a": 2}, resume=True)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.tex").write_text("x")
    with pytest.raises(store.NotARun):
        gdlab.Recorder(tmp_path / "own")
    with pytest.raises(ValueError, match=r"config\.f is a function"):
        gdlab.Recorder(tmp_path / "f", config={"f": lambda: 0})
    with pytest.raises(ValueError, match="commit_seconds=0: a number above 0"):
        gdlab.Recorder(tmp_path / "f", commit_seconds=0)
    with gdlab.Recorder(tmp_path / "live") as recorder:
        recorder.write(0, loss=1.0)
        with pytest.raises(store.RunLocked, match="is being written by process"):
            gdlab.Recorder(tmp_path / "live")


def test_hyper_parameters_keep_the_names_they_were_given(tmp_path):
    recorder = gdlab.Recorder(
        tmp_path / "r", config={"train": {"batch_size": 64}, "beta": 0.9, "version": "v2"}
    )
    recorder.config["seed"] = 3
    recorder.write(0, loss=1.0)
    recorder.close()
    from server.core.hyper import described

    expected = {"train.batch_size": 64, "beta": 0.9, "version": "v2", "seed": 3}
    run = gdlab.open_run(tmp_path / "r")
    assert described(run.summary()["hyperparameters"]) == expected
    assert described(run.config) == expected
    assert {key: run.to_xarray().attrs[key] for key in expected} == expected


REFUSED = {
    "a text": (lambda r: r.write(1, loss="low"), "loss='low': a number is expected"),
    "a vector": (lambda r: r.write(1, loss=np.ones(3), accuracy=np.ones(2)), "has shape"),
    "a negative iteration": (lambda r: r.write(-1, loss=1.0), "step=-1: iterations count from 0"),
    "no iteration": (lambda r: r.write("first", loss=1.0), "str"),
    "half an iteration": (lambda r: r.write(1.5, loss=1.0), "float"),
    "a state that nobody watches": (
        lambda r: r.write(1, optax.adam(0.1).init(PARAMS)), r"no Observation in the tuple .*gdlab\.watch",
    ),
    "three axes": (lambda r: r.write(1, jax.vmap(jax.vmap(SEEN))(jnp.ones((2, 2)))), r"shape \(2, 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_recorded_is_said_and_the_rest_goes_on(tmp_path, name):
    write, message = REFUSED[name]
    with pytest.warns(RecordingWarning, match=message), gdlab.Recorder(tmp_path / "r") as recorder:
        recorder.write(0, loss=1.0)
        write(recorder)
        recorder.write(2, loss=2.0)
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_column(run, "loss"), [1.0, 2.0])
    assert run.state == "finished"
    recorder = gdlab.Recorder(tmp_path / "strict", strict=True)
    recorder.write(0, loss=1.0)
    with pytest.raises((ValueError, TypeError), match=message):
        write(recorder)
    recorder.close()


def test_other_layers_and_impossible_names_are_noted(tmp_path):
    other = gdlab.observe(loss=5.0, params={"c": jnp.ones(2)})
    with pytest.warns(RecordingWarning) as said, gdlab.Recorder(tmp_path / "r") as recorder:
        recorder.write(0, SEEN(1.0))
        recorder.write(1, other, **{"a b": 1.0})
    texts = "\n".join(str(warning.message) for warning in said)
    assert "from iteration 1 on the layers are others (c instead of a, b)" in texts
    assert "the metric 'a b' is not recorded: names consist of letters" in texts
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_column(run, "loss"), [1.0, 5.0])
    np.testing.assert_array_equal(np.isnan(run.array("layer/param_norm")[:, 0]), [False, True])


def test_a_full_disk_ends_the_recording_and_not_the_training(tmp_path, monkeypatch):
    recorder = gdlab.Recorder(tmp_path / "r", commit_seconds=1e-3)
    recorder.write(0, loss=1.0)
    while not gdlab.open_run(tmp_path / "r").summary()["iterations"]:
        recorder.write(1, loss=2.0)

    def full(fd, data, offset):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    step = 1
    with pytest.warns(RecordingWarning, match="disk full .* nothing more is recorded") as said:
        while recorder.active:
            step += 1
            recorder.write(step, loss=3.0)
    recorder.write(step + 1, loss=3.0)
    recorder.close()
    assert len(said) == 1
    monkeypatch.undo()
    run = gdlab.open_run(tmp_path / "r")
    assert run.rows("scalars") >= 1
    assert _column(run, "loss")[0] == 1


def test_two_threads_write_one_run(tmp_path):
    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:

        def many(name):
            for step in range(300):
                recorder.write(400, **{name: float(step)})

        threads = [threading.Thread(target=many, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    run = gdlab.open_run(tmp_path / "r")
    for name in "ab":
        np.testing.assert_array_equal(run.array(f"metric/{name}"), [[400, 299]])  # what is said last counts


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    with gdlab.Recorder(tmp_path / "r") as recorder:
        recorder.write(0, loss=1.0)
        assert not recorder.active
    assert not (tmp_path / "r").exists()


def test_how_a_block_was_left_is_the_state_of_the_run(tmp_path):
    for name, error, expected in (
        ("a", ValueError("no such batch"), ("failed", "ValueError: no such batch")),
        ("b", KeyboardInterrupt(), ("interrupted", "stopped by the user")),
    ):
        with pytest.raises(type(error)), gdlab.Recorder(tmp_path / name) as recorder:
            recorder.write(0, loss=1.0)
            raise error
        run = gdlab.open_run(tmp_path / name)
        assert (run.state, run.reason, run.rows("scalars")) == (*expected, 1)
    recorder = gdlab.Recorder(tmp_path / "c")
    recorder.write(0, loss=1.0)
    recorder.close("diverged", "the reward fell")
    recorder.close()
    assert gdlab.open_run(tmp_path / "c").state == "diverged"
    with pytest.warns(RecordingWarning, match="is closed: nothing more is recorded"):
        recorder.write(1, loss=1.0)
    with pytest.raises(ValueError, match="state='done': finished, interrupted, diverged or failed"):
        recorder.close("done")


def _process(tmp_path, end):
    text = f"""
        import os, signal, gdlab
        recorder = gdlab.Recorder({str(tmp_path / "r")!r}, commit_seconds=0.05)
        step = 0
        while step < 100 or gdlab.open_run({str(tmp_path / "r")!r}).rows("scalars") < 50:
            recorder.write(step, loss=float(step), reward=-float(step))
            step += 1
        {end}
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=120
    )


ENDS = {
    "": ("finished", "the process ended without closing the recorder", 0),
    "raise ValueError('no more')": ("failed", "ValueError: no more", 1),
    "os.kill(os.getpid(), signal.SIGKILL)": ("crashed", None, -signal.SIGKILL),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_recorder_that_is_never_closed_leaves_a_whole_run(tmp_path, end):
    state, reason, code = ENDS[end]
    done = _process(tmp_path, end)
    assert done.returncode == code, done.stderr
    run = gdlab.open_run(tmp_path / "r")
    assert (run.state, run.reason) == (state, reason)
    assert run.verify() == []
    rows = run.rows("scalars")
    np.testing.assert_array_equal(_column(run, "loss"), np.arange(rows))
    assert rows >= 50
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        with gdlab.Recorder(tmp_path / "r", resume=True) as recorder:
            recorder.write(40, loss=0.0)
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 41


def test_donated_states_are_read_before_they_are_gone(tmp_path):
    tx = gdlab.watch(optax.adam(0.1))

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state):
        updates, state = tx.update(params, state, params)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.array, PARAMS)
    state = tx.init(params)
    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:
        for k in range(50):
            params, state = step(params, state)
            recorder.write(k, state)
    norms = _column(gdlab.open_run(tmp_path / "r"), "update_norm")
    assert norms.shape == (50,)
    assert np.all(np.isfinite(norms))


def test_writing_does_not_wait_for_the_device(tmp_path):
    slow = jax.jit(lambda x: jax.lax.fori_loop(0, 60, lambda _, y: jnp.tanh(y @ x), x).sum())
    x = jnp.eye(1000)
    slow(x).block_until_ready()
    with gdlab.Recorder(tmp_path / "r") as recorder:
        recorder.write(0, loss=0.0)  # opens the folder
        waiting = slow(x)
        recorder.write(1, loss=waiting)
        assert not waiting.is_ready()
    np.testing.assert_allclose(_column(gdlab.open_run(tmp_path / "r"), "loss"), [0.0, float(waiting)])


def test_a_forked_process_writes_nothing(tmp_path):
    recorder = gdlab.Recorder(tmp_path / "r")
    recorder.write(0, loss=1.0)
    recorder._pid = os.getpid() + 1  # as in a child that a loader of data has forked
    recorder.write(1, loss=2.0)
    recorder.close()
    recorder._pid = os.getpid()
    recorder.close()
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 1


@pytest.mark.parametrize("task", ["task=probe probe=segments run=", "task=extend train.steps=50 run="])
def test_what_needs_the_network_says_that_gdlab_has_not_got_it(tmp_path, task):
    with gdlab.Recorder(tmp_path / "r") as recorder:
        for step in range(3):
            recorder.write(step, SEEN(1.0))
    before = sorted(path for path in (tmp_path / "r").rglob("*"))
    done = subprocess.run(
        [sys.executable, "-m", "gdlab", *f"{task}{tmp_path / 'r'}".split()],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "r was recorded from a loop of its own: it has no config that gdlab could train by" in line
    assert sorted(path for path in (tmp_path / "r").rglob("*")) == before


def test_what_a_loop_does_not_give_is_nothing_in_tables(tmp_path):
    with gdlab.Recorder(tmp_path / "r") as recorder:
        for step in range(40):
            recorder.write(step, loss=float(step))
    run = gdlab.open_run(tmp_path / "r")
    table = run.table("steps")
    assert set(STEP_COLUMNS) <= set(table.columns)
    assert {len(column) for column in table.columns.values()} == {40}  # no dot behind the last iteration
    assert np.all(np.isnan(table.columns["loss_end"]))
    assert np.all(np.isnan(run.envelope("loss_end").columns["maximum"]))
    assert run.envelope("loss", points=8).columns["maximum"].max() == 39
    assert run.summary()["final_loss"] == 39
