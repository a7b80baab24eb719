"""What would lose or spoil a record: each was tried by somebody who wanted to."""

import enum
import os
import signal
import subprocess
import sys
import textwrap
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
from tests.recording import rosenbrock

PARAMS = {"a": jnp.ones(3)}


def _loss(run):
    return np.array(run.array("scalars")[:, run.columns("scalars").index("loss")])


def test_a_run_that_gdlab_trained_is_not_touched(tmp_path):
    rosenbrock(tmp_path / "own")
    before = {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file()}
    with pytest.raises(store.ConfigMismatch, match="a Recorder goes on with its own alone"):
        gdlab.Recorder(tmp_path / "own", resume=True)
    assert {path: path.read_bytes() for path in (tmp_path / "own").rglob("*") if path.is_file()} == before


def test_metrics_and_steps_of_a_donated_state_are_read_in_time(tmp_path):
    @partial(jax.jit, donate_argnums=0)
    def step(state):
        slow = jax.lax.fori_loop(0, 3, lambda _, y: jnp.tanh(y @ y), state["x"])
        return {"x": slow, "k": state["k"] + 1}

    state = {"x": jnp.eye(400), "k": jnp.int32(-1)}
    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:
        for number in range(60):
            state = step(state)
            recorder.write(state["k"], loss=state["x"][0, 0], corner=state["x"][1, 1], same=state["k"])
            assert number >= 0
    run = gdlab.open_run(tmp_path / "r")
    assert run.rows("scalars") == 60
    np.testing.assert_array_equal(run.array("metric/same")[:, 1], np.arange(60))


def test_a_call_that_cannot_be_recorded_takes_no_other_with_it(tmp_path):
    slow = jax.jit(lambda x: jax.lax.fori_loop(0, 40, lambda _, y: jnp.tanh(y @ x), x).sum())
    gone = jnp.ones(())
    gone.delete()
    with pytest.warns(RecordingWarning) as said:
        recorder = gdlab.Recorder(tmp_path / "r")
        recorder.write(0, loss=0.0)
        recorder.write(1, loss=slow(jnp.eye(800)))
        recorder.write(2, n=10**400)
        recorder.write(2, {1: 2.0})
        recorder.write(2**60, loss=1.0)
        for step in range(2, 10):
            recorder.write(step, loss=float(step))
        recorder.close()
    texts = "\n".join(str(one.message) for one in said)
    assert "n: an integer of 1329 bits" in texts
    assert "1: the name of a metric is a text" in texts
    assert "iterations count from 0 to 9,007,199,254,740,992" in texts
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_loss(run)[2:], np.arange(2.0, 10.0))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "\\NaN", "x" * (20 << 20)])
def test_any_reason_leaves_a_run_that_opens(tmp_path, text):
    recorder = gdlab.Recorder(tmp_path / "r", config={"opt": text[:100]})
    recorder.write(0, loss=1.0)
    recorder.close("diverged", text)
    run = gdlab.open_run(tmp_path / "r")
    assert run.reason == text[:2000]
    assert run.summary()["hyperparameters"]["config.opt"] == text[:100]


class Kind(enum.StrEnum):
    """A choice."""

    FAST = "fast"


def test_hyper_parameters_of_other_classes_become_plain(tmp_path):
    config = {"a": np.str_("x"), "b": Kind.FAST, "c": np.float32(0.5), "d": signal.SIGINT, "e": (1, 2)}
    with gdlab.Recorder(tmp_path / "r", config=config, strict=True) as recorder:
        recorder.write(0, loss=1.0)
    assert gdlab.open_run(tmp_path / "r").config["config"] == {
        "a": "x", "b": "fast", "c": 0.5, "d": 2, "e": [1, 2]
    }  # fmt: skip


def _deep(depth):
    return {"k": _deep(depth - 1)} if depth else 1


IMPOSSIBLE = {
    "a huge integer": ({"k": 10**400}, "no float can hold"),
    "a long list": ({"k": [0] * 400_000}, "characters; .* are kept"),
    "deep": (_deep(70), "nested deeper than 50"),
    "no text": ({"k": "\udc80x"}, "a text that is none"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_hyper_parameters_that_cannot_be_read_again_are_refused(tmp_path, name):
    config, message = IMPOSSIBLE[name]
    with pytest.raises(ValueError, match=message):
        gdlab.Recorder(tmp_path / "r", config=config)
    assert not (tmp_path / "r").exists()


def test_scans_of_one_iteration_and_of_none(tmp_path):
    def chunk(count):
        scales = jnp.arange(1.0, count + 1)
        return jax.lax.scan(lambda c, s: (c, gdlab.observe(loss=s, params=PARAMS)), 0, scales)[1], scales

    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:
        first = 0
        for count in (4, 0, 1, 4, 1, 0):
            seen, accuracy = chunk(count)
            recorder.write(first, seen, accuracy=accuracy)
            first += count
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_loss(run), [1, 2, 3, 4, 1, 1, 2, 3, 4, 1])
    np.testing.assert_array_equal(run.array("metric/accuracy")[:, 1], _loss(run))


def test_names_that_would_lie_in_one_another_or_on_a_file_are_noted(tmp_path):
    with pytest.warns(RecordingWarning) as said, gdlab.Recorder(tmp_path / "r") as recorder:
        recorder.write(0, {"val": 1.0, "val/loss": 2.0, "zarr.json": 3.0, "x/zarr.json": 4.0, "loss": 5.0})
        recorder.write(1, loss=6.0)
    assert len(said) == 3
    run = gdlab.open_run(tmp_path / "r")
    assert [name for name in run.arrays if name.startswith("metric/")] == ["metric/val"]
    np.testing.assert_array_equal(_loss(run), [5.0, 6.0])


def test_many_metrics_are_kept_up_to_a_number_and_one_note_says_so(tmp_path):
    metrics = {f"m{number}": float(number) for number in range(1500)}
    many = pytest.warns(RecordingWarning, match="1,000 metrics are recorded")
    with many as said, gdlab.Recorder(tmp_path / "r") as recorder:
        for step in range(20):
            recorder.write(step, metrics)
    assert len(said) == 1
    run = gdlab.open_run(tmp_path / "r")
    assert sum(name.startswith("metric/") for name in run.arrays) == 1000
    assert run.rows("metric/m999") == 20


def test_an_error_that_nobody_told_is_no_divergence(tmp_path):
    tx = gdlab.watch(optax.inject_hyperparams(optax.adam)(learning_rate=0.1))
    state = tx.init(PARAMS)
    with gdlab.Recorder(tmp_path / "r", strict=True) as recorder:
        for step in range(5):
            _, state = tx.update(PARAMS, state, PARAMS)
            recorder.write(step, state, learning_rate=7.0)
    run = gdlab.open_run(tmp_path / "r")
    assert np.all(run.table("steps").columns["status"] == 0)
    np.testing.assert_array_equal(run.array("metric/learning_rate"), [[k, 7.0] for k in range(5)])


def test_reading_the_config_of_a_run_that_goes_on_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with gdlab.Recorder("r", config={"a": 1}) as recorder:
        recorder.write(0, loss=1.0)
        os.chdir("/")
        recorder.write(1, loss=1.0)
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 2
    recorder = gdlab.Recorder(tmp_path / "r", resume=True, strict=True)
    assert recorder.config == {"a": 1}
    recorder.write(2, loss=2.0)
    recorder.close()
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 3


def test_how_a_process_ends_is_told_as_it_was(tmp_path):
    with pytest.raises(SystemExit), gdlab.Recorder(tmp_path / "zero") as recorder:
        recorder.write(0, loss=1.0)
        sys.exit(0)
    assert gdlab.open_run(tmp_path / "zero").state == "finished"

    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    with pytest.raises(Mute), gdlab.Recorder(tmp_path / "mute") as recorder:
        recorder.write(0, loss=1.0)
        raise Mute
    assert gdlab.open_run(tmp_path / "mute").reason == "Mute: Mute"


def test_a_place_that_cannot_be_written_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(store.NotWritable, match="file is not a folder"):
        gdlab.Recorder(tmp_path / "file" / "r")


def test_a_full_disk_says_how_it_ended_and_gives_the_folder_back(tmp_path):
    text = f"""
        import resource, gdlab, warnings
        warnings.simplefilter("ignore")
        recorder = gdlab.Recorder({str(tmp_path / "r")!r}, commit_seconds=0.02)
        recorder.write(0, loss=1.0)
        while gdlab.open_run({str(tmp_path / "r")!r}).rows("scalars") < 1:
            recorder.write(1, loss=1.0)
        from gdlab.store import files
        whole, files.write_all = files.write_all, lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
        step = 1
        while recorder.active:
            step += 1
            recorder.write(step, loss=1.0)
        files.write_all = whole
        again = gdlab.Recorder({str(tmp_path / "r")!r}, resume=True, strict=True)
        again.write(50, loss=2.0)
        again.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert _loss(gdlab.open_run(tmp_path / "r"))[-1] == 2


def test_observations_of_odd_trees():
    assert gdlab.observe(loss=1.0, params={}).layout.layers == ()
    assert gdlab.observe(params={"n": jnp.arange(3)}).layout.layers == ()
    seen = gdlab.observe(params={"a": 2.0, "act": jnp.tanh, "kind": "relu", "none": None})
    assert seen.layout.layers == ("a",)
    with jax.enable_x64(True):
        params = {"a": jnp.ones(3, jnp.float32)}
        tx = gdlab.watch(optax.sgd(0.1))
        body = lambda state, _: (tx.update(params, state, params, value=jnp.float64(1))[1], None)  # noqa: E731
        state, _ = jax.lax.scan(body, tx.init(params), None, 3)
        assert state.seen.values.dtype == jnp.float32


def test_parameters_that_are_spread_over_devices_are_seen(tmp_path):
    text = """
        import jax, jax.numpy as jnp, numpy as np, gdlab
        from jax.sharding import PartitionSpec as P
        mesh = jax.make_mesh((4,), ("x",), axis_types=(jax.sharding.AxisType.Explicit,))
        with jax.sharding.set_mesh(mesh):
            w = jax.device_put(jnp.arange(8.0), P("x"))
            seen = jax.jit(lambda w: gdlab.observe(params={"w": w}, grads={"w": 2 * w}))(w)
        np.testing.assert_allclose(seen.values[-2:], [140**0.5, 2 * 140**0.5], rtol=1e-6)
    """
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        capture_output=True, text=True, timeout=120, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def test_an_interrupted_beginning_locks_nothing(tmp_path, monkeypatch):
    create = store.RunWriter.create.__func__

    def interrupted(cls, *args, **kwargs):
        writer = create(cls, *args, **kwargs)
        os.kill(os.getpid(), signal.SIGINT)
        return writer

    recorder = gdlab.Recorder(tmp_path / "r")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store.RunWriter, "create", classmethod(interrupted))
        recorder.write(0, loss=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder.write(0, loss=1.0)
        recorder.close()
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 1


def test_what_is_wrong_leaves_the_numbers_beside_it(tmp_path):
    with pytest.warns(RecordingWarning) as said, gdlab.Recorder(tmp_path / "r") as recorder:
        recorder.write(0, optax.adam(0.1).init(PARAMS), loss=1.0)
        recorder.write(1, loss=2.0, accuracy=np.ones(3))
        recorder.write(2, loss=3.0, accuracy=0.5)
        recorder.write(2, accuracy=0.75)
    texts = "\n".join(str(one.message) for one in said)
    assert "no Observation" in texts and "accuracy has shape (3,)" in texts
    run = gdlab.open_run(tmp_path / "r")
    np.testing.assert_array_equal(_loss(run), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(run.array("metric/accuracy"), [[2, 0.75]])


def test_nobody_reads_a_metric_of_an_iteration_that_is_not_there(tmp_path):
    with gdlab.Recorder(tmp_path / "r", commit_seconds=1e-3) as recorder:
        for step in range(300):
            recorder.write(step, loss=1.0, reward=1.0)
            if step and (tmp_path / "r" / "run.json").exists():
                run = gdlab.open_run(tmp_path / "r")
                if "metric/reward" in run.arrays:
                    assert run.rows("metric/reward") <= run.rows("scalars")
    assert gdlab.open_run(tmp_path / "r").rows("metric/reward") == 300
