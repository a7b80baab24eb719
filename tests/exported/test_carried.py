"""Runs of code of one's own are looked at and replayed without it, by the programs that they carry."""

import subprocess
import sys

import jax
import numpy as np
import pytest

import gdlab
from gdlab import experiment, store
from gdlab.execution import probing
from gdlab.execution.opening import open_replay
from gdlab.execution.replay import Replay
from gdlab.plan.builder import ConfigError
from gdlab.store.functions import names
from tests.composing import composed
from tests.recording import own_code

CODE = """
import flax.linen as nn
import jax.numpy as jnp
import optax
from gdlab.problems import from_function


def valley(steepness: float = 10.0):
    return from_function(lambda p: steepness * (p[1] - jnp.sin(p[0])) ** 2 + p[0] ** 2, [3.0, -2.0])


class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(8, name="hidden")(x.reshape(x.shape[0], -1)))
        x = nn.Dropout(0.2, deterministic=not self.has_rng("dropout"))(x)
        return nn.Dense(10, name="head")(x)


def network():
    return Network()


def adam(learning_rate: float = 0.01):
    return optax.adam(learning_rate)
"""


def valley():
    config = composed("problem=rosenbrock", "train.steps=14", "precision=float64")
    return {**config, "problem": {"_target_": "carried_code.valley", "steepness": 12.0}}


def network():
    config = composed("experiment=digits_sgd", "train.steps=9", "record.dumps=false")
    optimizer = {"_target_": "carried_code.adam", "learning_rate": 0.02}
    return {**config, "model": {"_target_": "carried_code.network"}, "optimizer": optimizer}


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    folder = tmp_path_factory.mktemp("code")
    (folder / "carried_code.py").write_text(CODE)
    return folder


@pytest.fixture
def allowed(code, monkeypatch):
    """Within it the code may be imported; afterwards it is forgotten."""
    with monkeypatch.context() as patched:
        patched.syspath_prepend(code)
        patched.setenv("GDLAB_TARGETS", "carried_code")
        yield patched
    sys.modules.pop("carried_code", None)


@pytest.mark.parametrize("config", [valley, network])
def test_the_programs_replay_to_the_same_bits_as_the_code(allowed, tmp_path, config):
    run = experiment.run(config(), tmp_path / "run", progress=False)
    rows = run.rows("scalars")
    live = list(Replay(run.path).steps(2, rows))
    allowed.undo()
    with pytest.raises(ConfigError, match="GDLAB_TARGETS"):
        Replay(run.path)
    replay = open_replay(run.path)
    carried = list(replay.steps(2, rows))
    assert [step.iteration for step in carried] == [step.iteration for step in live] != []
    for one, other in zip(live, carried, strict=True):
        pairs = zip(*(jax.tree.leaves((s.params, s.updates, s.info)) for s in (one, other)), strict=True)
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    report = replay.report()
    assert report.compared == rows and report.different == 0
    if config is network:
        maps = [gdlab.run_probe(run.path, "feature_maps", {"image": 5, "iteration": 4}).columns]
        probing._open.clear()
        allowed.setenv("GDLAB_TARGETS", "carried_code")
        maps.append(gdlab.run_probe(run.path, "feature_maps", {"image": 5, "iteration": 4}).columns)
        np.testing.assert_allclose(*(columns["saliency"] for columns in maps), rtol=1e-4, atol=1e-6)
    assert replay.key(3) is not None and (replay.batch(1) is None) == (config is valley)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A run whose code this process has never seen."""
    return own_code(tmp_path_factory.mktemp("elsewhere") / "run")


def test_looking_needs_neither_consent_nor_import(elsewhere):
    for probe, options in (
        ("segments", {"start": 0, "stop": 12}),
        ("smoothness", {"start": 0, "stop": 12}),
        ("landscape", {"resolution": 5}),
        ("surface", {"resolution": 5}),
        ("interpolation", {}),
    ):
        table = gdlab.run_probe(elsewhere, probe, options)
        assert table.attrs["replay"]["different"] == 0
    path = store.open_run(elsewhere).array("path")
    landscape = gdlab.run_probe(elsewhere, "landscape", {"resolution": 5}).columns
    x, y = np.meshgrid(landscape["x"], landscape["y"])
    np.testing.assert_allclose(landscape["value"], (x / 2) ** 2 + y**2, rtol=1e-5)
    assert table.attrs["replay"]["compared"] == 12 and len(path) == 13
    assert "my_own_bowl" not in sys.modules


def test_slopes_and_bends_are_the_analytic_ones(elsewhere):
    """The error is (x / 2)^2 + y^2: its slope along a step u is g . u, its bend u . H u."""
    found = gdlab.run_probe(elsewhere, "smoothness", {"start": 0, "stop": 12}).columns
    path = store.open_run(elsewhere).array("path").astype(np.float64)
    move, hessian = np.diff(path, axis=0), np.array([0.5, 2.0])
    np.testing.assert_allclose(found["slope"], (path[:-1] * hessian * move).sum(1), rtol=1e-4)
    np.testing.assert_allclose(found["curvature"], (move * hessian * move).sum(1), rtol=1e-4)


def test_going_on_with_the_training_needs_the_code(elsewhere):
    command = [sys.executable, "-m", "gdlab", "task=extend", f"run={elsewhere}", "train.steps=20"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "GDLAB_TARGETS" in done.stderr


def test_altered_programs_are_refused_and_the_code_is_the_second_way(allowed, tmp_path):
    run = experiment.run(valley(), tmp_path / "run", progress=False)
    for file in (run.path / "functions").glob("chunk.value*"):
        file.write_bytes(file.read_bytes()[:-1])
    assert next(open_replay(run.path).steps(0, 1)).iteration == 0
    allowed.undo()
    with pytest.raises(store.DamagedRun, match=r"chunk\.value"):
        next(open_replay(run.path).steps(0, 1))


def test_what_a_run_carries_is_asked_for(allowed, tmp_path):
    config = valley()
    config["record"] = {**config["record"], "functions": False}
    run = experiment.run(config, tmp_path / "none", progress=False)
    assert names(run.path) == ()
    assert store.config_hash(config) == store.config_hash(valley())
    allowed.undo()
    with pytest.raises(ConfigError, match="GDLAB_TARGETS"):
        open_replay(run.path)
    ours = composed("problem=rosenbrock", "train.steps=3")
    assert names(experiment.run(ours, tmp_path / "ours", progress=False).path) == ()
    asked = composed("problem=rosenbrock", "train.steps=3", "record.functions=true")
    assert {"loss", "chunk"} <= set(names(experiment.run(asked, tmp_path / "asked", progress=False).path))
    with pytest.raises(ConfigError, match=r"record.functions='yes'"):
        experiment.run(composed("problem=rosenbrock", "record.functions='yes'"), tmp_path / "bad")


@pytest.fixture(autouse=True)
def forget_replays():
    probing._open.clear()
