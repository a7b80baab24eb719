"""Several devices and several processes record what one device does: norms are those of the whole network."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gdlab

ROOT = Path(__file__).resolve().parents[2]
STEPS, EQUAL = 20, 2e-5  # sums are taken in another order; float32


def started(folder, *options, devices=1):
    environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    environment["JAX_NUMPY_RANK_PROMOTION"] = "allow"  # as everybody has it
    command = [sys.executable, "-m", "examples.sharded", str(folder), "--steps", str(STEPS), *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def ended(processes):
    """What each has said."""
    said = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single") / "r"
    ended([started(folder)])
    return gdlab.open_run(folder)


def assert_the_same(run, other):
    assert (run.state, run.rows("scalars")) == ("finished", STEPS)
    assert run.arrays == other.arrays
    for name in run.arrays:
        values, expected = np.array(run.array(name)), np.array(other.array(name))
        if name == "scalars":
            clock = run.columns("scalars").index("seconds")
            values[:, clock] = expected[:, clock] = 0
        np.testing.assert_allclose(values, expected, rtol=EQUAL, atol=1e-9, err_msg=name)


def test_eight_devices(tmp_path, single):
    ended([started(tmp_path / "r", devices=8)])
    assert_the_same(gdlab.open_run(tmp_path / "r"), single)


def test_two_processes_of_which_one_writes(tmp_path, single):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    options = ("--processes", "2", "--coordinator", f"localhost:{port}", "--keep", "--process")
    said = ended([started(tmp_path / "r", *options, str(number)) for number in (0, 1)])
    assert_the_same(gdlab.open_run(tmp_path / "r"), single)
    assert "params: an array lies on several processes" in said[0] and "on several" not in said[1]
