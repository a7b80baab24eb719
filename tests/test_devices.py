"""A training on several devices does what one device does, up to the order of sums; and replays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from gdlab import experiment
from gdlab.execution.probing import run_probe
from gdlab.execution.replay import Replay
from gdlab.plan.assembly import assemble
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import plan_of
from gdlab.training.devices import mesh_of
from tests.composing import composed

NETWORK = (
    *(
        "problem=classification",
        "dataset=digits",
        "model=lenet5",
        "optimizer=momentum",
        "train.batch_size=16",
    ),
    *("model.filters=[3]", "model.dense=[8]", "model.batch_norm=true", "model.dropout=0.2"),
    *("problem.augment.flip=true", "problem.augment.shift=1", "train.steps=6", "record.validate=false"),
)
SEARCH = (
    *("experiment=digits_cg", "train.batches=1", "train.batch_size=80", "train.descent_length=3"),
    *("train.steps=4", "record.validate=false"),
)

# Trains, stops after three iterations, continues and replays; prints what was recorded and replayed.
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
import jax
from gdlab import experiment
from gdlab.execution import session
from gdlab.execution.replay import Replay

original = session.Session._chunk

def three_then_stop(session, count):
    if session.step < 3:
        count = 3
        os.kill(os.getpid(), signal.SIGINT)
    return original(session, count)

session.Session._chunk = three_then_stop
found = {}
for name, config in json.loads(sys.argv[2]).items():
    folder = Path(sys.argv[1]) / name
    states = [experiment.run(config, folder, progress=False).state for _ in range(2)]
    replay = Replay(folder)
    params = list(replay.steps(2, config["train"]["steps"]))[-1].params
    steps = replay.run.table("steps").columns
    found[name] = {column: steps[column].tolist() for column in ("loss", "loss_end")}
    found[name] |= {"states": states, "compared": replay.report().compared, "report": replay.report()[1:4]}
    found[name]["folder"] = str(folder)
    found[name]["devices"] = [len(leaf.sharding.device_set) for leaf in jax.tree.leaves(params)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def on_four(tmp_path_factory):
    """{name: what was recorded and replayed on four devices}, of each of the trainings."""
    configs = {"network": composed(*NETWORK, "train.devices=all")}
    configs["search"] = composed(*SEARCH, "train.devices=4")
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path_factory.mktemp("runs")), json.dumps(configs)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "overrides"), [("network", NETWORK), ("search", SEARCH)])
def test_four_devices_do_what_one_does(on_four, tmp_path, name, overrides):
    found = on_four[name]
    alone = experiment.run(composed(*overrides), tmp_path / "run", progress=False)
    steps = alone.table("steps").columns
    assert len(found["loss"]) == len(steps["loss"])
    for column in ("loss", "loss_end"):
        np.testing.assert_allclose(found[column], steps[column], rtol=2e-4)
    assert set(found["devices"]) == {4}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["network", "search"])
def test_four_devices_continue_and_replay_to_the_bit(on_four, name):
    found = on_four[name]
    assert found["states"] == ["interrupted", "finished"]
    assert found["compared"] == len(found["loss"]) - 1  # the last row holds the end alone
    assert found["report"] == [0, 0.0, []]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["network", "search"])
def test_what_four_devices_trained_is_looked_at_on_one(on_four, name):
    """The parameters are there; that the last bits are others, and why, is said."""
    found = on_four[name]
    replay = Replay(found["folder"])
    assert replay.assembly.mesh is None and len(jax.devices()) == 1
    table = run_probe(found["folder"], "confusion", {})
    assert 0 < table.attrs["loss"] < 10
    losses = [float(step.info.loss) for step in replay.steps(0, len(found["loss"]) - 1)]
    np.testing.assert_allclose(losses, found["loss"][:-1], rtol=2e-4)
    report = replay.report()
    assert report.compared >= len(losses) and report.largest < 1e-3
    assert any(change.startswith("devices ['cpu', 'cpu', 'cpu', 'cpu']") for change in report.changed)
    with pytest.raises(ConfigError, match="devices="):
        assemble(plan_of(replay.config | {"train": replay.config["train"] | {"devices": 4}}))


@pytest.mark.parametrize(
    ("wanted", "batch_size", "visible", "used"),
    [(4, 12, 3, 3), (4, 8, 3, 2), (8, 7, 3, None), ("all", 9, 2, None), (3, None, 2, None), (2, 8, 4, 2)],
)
def test_as_many_devices_as_can_share_a_batch_look_at_it(monkeypatch, wanted, batch_size, visible, used):
    monkeypatch.setattr(jax, "devices", lambda: [None] * visible)
    monkeypatch.setattr(jax, "make_mesh", lambda shape, *_, **__: shape[0])
    assert mesh_of(wanted, batch_size, fewer=True) == used


def test_a_run_from_before_there_was_the_option_trains_on_one():
    config = composed(*SEARCH)
    del config["train"]["devices"]
    assert assemble(plan_of(config)).mesh is None


def test_one_device_is_the_same_program_as_without_the_option():
    with_option = assemble(plan_of(composed(*SEARCH, "train.devices=1")))
    assert with_option.mesh is None and mesh_of("all", 16) is None and mesh_of(None, None) is None


@pytest.mark.parametrize("wanted", [0, 2, 1.0, True, "both"])
def test_a_wrong_number_of_devices_is_named(wanted):
    with pytest.raises(ConfigError, match=r"train: devices=.* 1 to 1, .* or all") as error:
        assemble(plan_of(composed(*SEARCH, f"train.devices={wanted}")))
    assert repr(wanted) in str(error.value)


@pytest.mark.parametrize(
    ("batch_size", "words"), [(18, "4 devices .* 18 examples"), (None, "4 devices .* there is no data")]
)
def test_a_batch_that_cannot_be_shared_is_named(monkeypatch, batch_size, words):
    monkeypatch.setattr(jax, "devices", lambda: [None] * 4)
    with pytest.raises(ValueError, match=words):
        mesh_of("all", batch_size)
