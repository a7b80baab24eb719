"""A training with a memory of pairs is recorded as one by conjugate gradients: searches, segments, replay."""

import numpy as np
import pytest

from gdlab.execution.probing import run_probe
from tests import recording


@pytest.mark.parametrize(
    ("optimizer", "precision"),
    [("lbfgs", "float32"), ("lbfgs", "float64"), ("conjugate_gradient_limited_memory", "float32")],
)
def test_it_is_recorded_and_replayed(tmp_path, optimizer, precision):
    options = ("experiment=digits_cg", f"optimizer={optimizer}", f"precision={precision}", "train.steps=8")
    run = recording.record(tmp_path / "run", *options)
    steps = run.table("steps", 0, 8).columns
    assert (np.diff(steps["loss"]) < 0).all() and (steps["evaluations"] >= 1).all()
    trace = run.table("evaluations", 0, 8).columns
    assert len(trace["eta"]) == steps["evaluations"].sum() and trace["accepted"].sum() == 8
    table = run_probe(run.path, "segments", {"start": 0, "stop": 8})
    assert (table.attrs["replay"]["compared"], table.attrs["replay"]["different"]) == (8, 0)
    assert table.attrs["max_difference"] == 0
