"""`task=runs` and `task=summary`: what is printed is what is recorded; strange folders are told in a line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from gdlab import store
from gdlab.commands import telling
from gdlab.findings import findings
from gdlab.plan.targets import ConfigError
from gdlab.records import STEP_COLUMNS
from gdlab.store.config import training_keys
from tests.server import make_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("told")
    make_runs.make(root / "a")
    make_runs.make(root / "b", seed=1)
    make_runs.damage(root / "c")
    return root


def told(*words):
    return json.loads(telling.answer([*words, "--json"]))


def test_every_run_is_listed_with_its_numbers(runs):
    found = {run["name"]: run for run in told("task=runs", f"run={runs}")}
    assert found.keys() == {"a", "b", "c"}
    for name in ("a", "b"):
        summary = store.open_run(runs / name).summary()
        assert found[name]["final_loss"] == summary["final_loss"]
        assert found[name]["iterations"] == summary["iterations"]
        assert found[name]["hyperparameters"] == training_keys(summary["hyperparameters"])
    assert found["c"]["state"] == "damaged" and found["c"]["reason"]


def test_the_table_has_a_line_for_each_and_its_columns_align(runs):
    head, *lines = telling.answer(["task=runs", f"run={runs}"]).splitlines()
    assert [line.split()[0] for line in lines] == ["a", "b", "c"]
    at = head.index("iterations") + len("iterations")
    assert all(line[:at].split()[-1] == line.split()[2] for line in lines[:2])


def test_a_summary_says_what_the_run_reached_and_what_its_record_says(runs):
    run = store.open_run(runs / "a")
    loss = run.array("scalars")[:, STEP_COLUMNS.index("loss")]
    found = told("task=summary", f"run={runs / 'a'}")
    assert found["reached"]["best_loss"] <= np.nanmin(loss)
    assert found["arrays"] == sorted(run.arrays)
    said = [one._asdict() for one in findings([run])]
    assert [one["text"] for one in found["findings"]] == [one["text"] for one in said]
    assert [one["link"] for one in found["findings"]] == [one["link"] for one in said]
    words = telling.answer(["task=summary", f"run={runs / 'a'}"])
    assert words.startswith(f"a: {run.state}, {run.rows('scalars'):,} iterations")
    assert all(one["text"] in words for one in found["findings"])


def test_what_is_not_finite_is_null():
    assert telling._finite({"a": [float("nan"), 1.0, float("inf")]}) == {"a": [None, 1.0, None]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["task=summary"], "task=summary needs the folder of a recorded run"),
        (["task=runs", "run=nowhere"], "run=nowhere: there is no such folder"),
        (["task=runs", "rnu=x"], "Did you mean 'run'?"),
        (["task=runs", "--jsn"], "Did you mean '--json'?"),
    ],
)
def test_what_cannot_be_told_is_said(words, said):
    with pytest.raises(ConfigError) as raised:
        telling.answer(words)
    assert said in str(raised.value)


def test_the_command_prints_it_and_starts_neither_hydra_nor_jax(runs):
    code = (
        "import sys; from gdlab.__main__ import main; main(); "
        "assert not {'hydra', 'jax', 'bokeh'} & sys.modules.keys()"
    )
    words = ["task=runs", f"run={runs}", "--json"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert {run["name"] for run in json.loads(done.stdout)} == {"a", "b", "c"}
    words = ["task=summary", f"run={runs / 'nothing'}"]
    done = subprocess.run([sys.executable, "-m", "gdlab", *words], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("gdlab: ") and done.stderr.count("\n") == 1
