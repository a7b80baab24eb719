"""Two servers on one folder: both ask for the same at the same time, and both get what there is to get."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gdlab import store
from gdlab.execution.probing import run_probe
from tests import recording
from tests.recording import record

ASK = """
import sys, numpy as np
from gdlab.execution.probing import run_probe
print("ready", flush=True)
sys.stdin.readline()
for number, (probe, options) in enumerate(eval(sys.argv[2])):
    np.savez(f"{sys.argv[3]}.{number}.npz", **run_probe(sys.argv[1], probe, options).columns)
"""
ASKED = [
    ("segments", {"start": 0, "stop": 12}),
    ("smoothness", {"start": 0, "stop": 12}),
    ("interpolation", {"samples": 21}),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return record(tmp_path_factory.mktemp("shared") / "run", "experiment=digits_cg", "train.steps=12")


def test_two_processes_ask_for_the_same(run, tmp_path):
    before = recording.recorded(run.path)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(run.path), json.dumps(ASKED), str(tmp_path / str(number))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in processes] == [None, None]
    assert [process.returncode for process in processes] == [0, 0]
    kept = {path: path.read_bytes() for path in (run.path / "derived").rglob("*") if path.is_file()}
    for number, (probe, options) in enumerate(ASKED):
        wanted = run_probe(run.path, probe, options).columns
        for asker in range(2):
            with np.load(tmp_path / f"{asker}.{number}.npz") as found:
                for name, array in wanted.items():
                    np.testing.assert_array_equal(found[name], array, err_msg=f"{probe} {name}")
    # All was there already, whole.
    assert kept == {path: path.read_bytes() for path in (run.path / "derived").rglob("*") if path.is_file()}
    assert not store.open_run(run.path).verify()
    after = recording.recorded(run.path)
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)
