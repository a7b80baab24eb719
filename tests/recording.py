"""Runs for tests: recorded as the command line does it, with the precision put back afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np

from gdlab import experiment, store
from tests.composing import composed

# Steps so long that a fourth of the hidden units die, and the rest learns.
DYING = (
    "experiment=digits_sgd", "model.activation=relu", "optimizer.learning_rate=1.5", "train.steps=40",
    "record=dumps", "record.dumps=2",
)  # fmt: skip


def record(folder, *overrides, **settings):
    """The Run of `python -m gdlab OVERRIDES` in `folder`; settings: of the config's `record`."""
    config = composed(*overrides)
    config["record"].update(settings)
    before = jax.config.jax_enable_x64
    try:
        return experiment.run(config, folder, progress=False)
    finally:
        jax.config.update("jax_enable_x64", before)


def recorded(folder):
    """Everything a run recorded, except the clock."""
    run = store.open_run(folder)
    arrays = {name: np.array(run.array(name)) for name in run.arrays}
    arrays["scalars"][:, run.columns("scalars").index("seconds")] = 0
    return arrays


def assert_same_record(a, b):
    """Both folders hold the same record, to the bit, except the clock."""
    first, second = recorded(a), recorded(b)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def rosenbrock(folder, **settings):
    """27 iterations in float64, until the search can do no more."""
    return record(folder, "experiment=rosenbrock", **settings)


def digits(folder, steps=24, **settings):
    """Mini-batches in float32, a descent every 4 iterations, and a checkpoint after every chunk."""
    settings = {"checkpoint_seconds": 1e-3, "validate": 6, **settings}
    return record(
        folder, "experiment=digits_cg", f"train.steps={steps}", "train.descent_length=4", **settings
    )


def galaxy(folder, steps=24, **settings):
    """Mini-batches in float64, a descent every 5 iterations."""
    overrides = ("experiment=galaxy_minibatch", f"train.steps={steps}", "train.descent_length=5")
    return record(folder, *overrides, **settings)


OWN = """
from gdlab.problems import from_function


def bowl(width: float = 2.0):
    return from_function(lambda x: (x[0] / width) ** 2 + x[1] ** 2, [3.0, 1.0])
"""


def own_code(folder, *overrides, module="my_own_bowl"):
    """A run of two parameters whose problem is a module of one's own, which this process does not allow."""
    beside = folder.parent / f"{folder.name}_code"
    (beside / "conf" / "problem").mkdir(parents=True)
    (beside / f"{module}.py").write_text(OWN)
    (beside / "conf" / "problem" / "bowl.yaml").write_text(f"_target_: {module}.bowl\n")
    command = [sys.executable, "-m", "gdlab", "--config-dir", str(beside / "conf"), "problem=bowl"]
    command += ["optimizer=sgd", "train.steps=12", f"hydra.run.dir={folder}", *overrides]
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(beside)])
    environment = {**os.environ, "GDLAB_TARGETS": module, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder
