"""The interfaces of clu and metrax, and a callback, over a Recorder; the packages where installed."""

import importlib
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdlab
from gdlab.interchange import Callback, LeftOutWarning, LoggingBackend, MetricWriter


def _losses(run):
    return np.array(run.array("scalars")[:, run.columns("scalars").index("loss")])


def _metric(run, name):
    return {int(step): value for step, value in run.array(f"metric/{name}")}


def _logs(writer):
    """What a loop does with a writer of clu."""
    writer.write_hparams({"learning_rate": 0.1, "name": "adam"})
    for step in range(6):
        writer.write_scalars(step, {"train/loss": jnp.float32(1 / (1 + step)), "train/top 1": step / 8})
        if step % 2 == 0:
            writer.write_scalars(step, {"eval/accuracy": np.float64(step / 10)})
    writer.flush()
    writer.close()


def _is_as_logged(path):
    run = gdlab.open_run(path)
    assert (run.state, run.rows("scalars")) == ("finished", 6)
    np.testing.assert_allclose(_losses(run), 1 / (1 + np.arange(6)), rtol=1e-7)
    assert _metric(run, "train/top_1") == {step: step / 8 for step in range(6)}
    assert _metric(run, "eval/accuracy") == pytest.approx({0: 0.0, 2: 0.2, 4: 0.4})
    assert run.config["config"] == {"learning_rate": 0.1, "name": "adam"}


def test_a_loop_with_a_writer_of_clu_is_recorded(tmp_path):
    _logs(MetricWriter(gdlab.Recorder(tmp_path / "run", strict=True)))
    _is_as_logged(tmp_path / "run")


def test_what_a_run_has_no_place_for_is_said_once(tmp_path):
    writer = MetricWriter(gdlab.Recorder(tmp_path / "run", strict=True))
    writer.write_scalars(0, {"loss": 1.0})
    with pytest.warns(LeftOutWarning, match="are not recorded: a run of gdlab keeps numbers") as told:
        for step in range(3):
            writer.write_images(step, {"a": np.zeros((2, 2, 1))})
            writer.write_texts(step, {"a": "b"})
            writer.write_histograms(step, {"a": np.zeros(9)})
            writer.write_videos(step, {"a": np.zeros(9)})
            writer.write_audios(step, {"a": np.zeros(9)}, sample_rate=1)
            writer.write_summaries(step, {"one": np.ones(1), "many": np.ones(3)})
    assert len(told) == 6
    writer.close()
    assert gdlab.open_run(tmp_path / "run").arrays == ("scalars", "metric/one")


def test_the_error_can_be_chosen(tmp_path):
    writer = MetricWriter(gdlab.Recorder(tmp_path / "run", strict=True), loss="total")
    for step in range(3):
        writer.write_scalars(step, {"loss": 1.0, "total": 2.0 + step})
    writer.close()
    run = gdlab.open_run(tmp_path / "run")
    np.testing.assert_array_equal(_losses(run), [2, 3, 4])
    assert _metric(run, "loss.value") == {0: 1.0, 1: 1.0, 2: 1.0}


def test_clu_itself_takes_the_writer(tmp_path):
    writers = pytest.importorskip(
        "clu.metric_writers", reason="clu is not installed: pip install 'gdlab[rivals]'"
    )
    own = MetricWriter(gdlab.Recorder(tmp_path / "run", strict=True))
    interface = writers.MetricWriter
    assert all(callable(getattr(own, name)) for name in interface.__abstractmethods__)
    _logs(writers.AsyncMultiWriter([own, writers.SummaryWriter(str(tmp_path / "events"))]))
    _is_as_logged(tmp_path / "run")
    gdlab.import_runs(tmp_path / "events", tmp_path / "imported")
    _is_as_logged(tmp_path / "imported")


def test_a_backend_of_metrax_is_recorded(tmp_path):
    backend = LoggingBackend(gdlab.Recorder(tmp_path / "run", strict=True))
    for step in range(5):
        backend.log_scalar("/train/loss", np.float32(1 / (1 + step)), step=step)
        backend.log_scalar("perplexity", jnp.float32(step), step=step, split="eval")
    backend.close()
    run = gdlab.open_run(tmp_path / "run")
    np.testing.assert_allclose(_losses(run), 1 / (1 + np.arange(5)), rtol=1e-7)
    assert _metric(run, "perplexity") == {step: float(step) for step in range(5)}


def test_metrax_itself_takes_the_backend(tmp_path):
    logging = pytest.importorskip(
        "metrax.logging", reason="metrax is not installed: pip install 'gdlab[rivals]'"
    )
    backend: logging.LoggingBackend = LoggingBackend(gdlab.Recorder(tmp_path / "run", strict=True))
    wanted = {name for name in vars(logging.LoggingBackend) if not name.startswith("_")}
    assert wanted <= set(dir(backend))
    for step in range(4):
        backend.log_scalar("own/loss", 1.0 + step, step=step)
    backend.close()
    np.testing.assert_array_equal(_losses(gdlab.open_run(tmp_path / "run")), [1, 2, 3, 4])


def test_the_monitoring_of_jax_takes_the_backend(tmp_path):
    code = """
import sys, jax, gdlab
from gdlab.interchange import LoggingBackend
backend = LoggingBackend(gdlab.Recorder(sys.argv[1], strict=True))
jax.monitoring.register_scalar_listener(backend.log_scalar)
for step in range(4):
    jax.monitoring.record_scalar("own/loss", 1.0 + step, step=step)
backend.close()
"""  # a process of its own, since a listener stays
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=True, timeout=120)
    np.testing.assert_array_equal(_losses(gdlab.open_run(tmp_path / "run")), [1, 2, 3, 4])


def _quadratic(params, batch):
    return jnp.mean((params["w"] * batch - 3 * batch) ** 2)


def test_a_train_state_is_recorded_with_what_its_optimizer_saw(tmp_path):
    train_state = pytest.importorskip("flax.training.train_state")
    state = train_state.TrainState.create(
        apply_fn=None, params={"w": jnp.zeros(())}, tx=gdlab.watch(optax.sgd(0.1))
    )

    @jax.jit
    def step(state, batch):
        loss, grads = jax.value_and_grad(_quadratic)(state.params, batch)
        return state.apply_gradients(grads=grads), {"loss": loss, "error": jnp.sqrt(loss)}

    expected = []
    with Callback(gdlab.Recorder(tmp_path / "run", strict=True), prefix="train") as callback:
        for _ in range(5):
            before = state.params
            state, metrics = step(state, jnp.arange(4.0))
            callback(state, metrics)
            expected.append((float(metrics["loss"]), float(abs(state.params["w"] - before["w"]))))
    run = gdlab.open_run(tmp_path / "run")
    columns = run.columns("scalars")
    rows = np.array(run.array("scalars"))[:, [columns.index("loss"), columns.index("update_norm")]]
    np.testing.assert_allclose(rows, expected, rtol=1e-5)
    assert run.state == "finished" and "iteration" not in run.arrays and len(_metric(run, "train/error")) == 5


def test_an_optimizer_of_nnx_is_recorded(tmp_path):
    from flax import nnx

    model = nnx.Linear(1, 1, rngs=nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, gdlab.watch(optax.adam(0.1)), wrt=nnx.Param)
    metrics = nnx.MultiMetric(loss=nnx.metrics.Average("loss"))

    @nnx.jit
    def step(model, optimizer, metrics, x):
        loss, grads = nnx.value_and_grad(lambda model: jnp.mean((model(x) - 2 * x) ** 2))(model)
        optimizer.update(model, grads)
        metrics.update(loss=loss)

    with Callback(gdlab.Recorder(tmp_path / "run", strict=True), every=2) as callback:
        for _ in range(6):
            metrics.reset()
            step(model, optimizer, metrics, jnp.ones((4, 1)))
            callback(optimizer, metrics)
    run = gdlab.open_run(tmp_path / "run")
    np.testing.assert_array_equal(run.array("iteration"), [0, 2, 4])
    assert np.isfinite(_losses(run)).all() and run.columns("layer/update_norm")


def test_a_loop_without_a_state_is_counted_and_told_how_it_ended(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        Callback(gdlab.Recorder(tmp_path / "run", strict=True)) as callback,
    ):
        for step in range(4):
            callback(None, {"loss": 1.0}, speed=step)
        raise ZeroDivisionError
    run = gdlab.open_run(tmp_path / "run")
    assert (run.state, run.rows("scalars")) == ("failed", 4)
    with pytest.raises(ValueError, match="every=0"):
        Callback(gdlab.Recorder(tmp_path / "other"), every=0)


def test_the_writers_import_none_of_these_packages(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("clu", "metrax", "tensorflow", "flax", "jax"):
            monkeypatch.setitem(sys.modules, name, None)
        for name in [name for name in sys.modules if name.startswith("gdlab.interchange")]:
            monkeypatch.delitem(sys.modules, name)
        import gdlab.interchange.writers

        assert gdlab.interchange.writers.MetricWriter


@pytest.mark.parametrize("name", ["clu_writer", "metrax_backend"])
def test_the_loops_in_examples_are_recorded(tmp_path, name):
    with jax.numpy_rank_promotion("allow"):  # as everybody has it
        importlib.import_module(f"examples.{name}").main(tmp_path / "run", 60)
    run = gdlab.open_run(tmp_path / "run")
    assert (run.state, run.rows("scalars")) == ("finished", 60)
    assert _losses(run)[-10:].mean() < 0.7 * _losses(run)[:10].mean()
    assert run.array("metric/train/accuracy")[-10:, 1].mean() > 0.5
    assert run.config["config"]["learning_rate"] in (0.1, 3e-3)
