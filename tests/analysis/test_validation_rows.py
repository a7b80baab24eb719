"""Validation rows of recorded runs against the arrays they come from, and the best against a loop."""

import numpy as np
import pytest

from gdlab import store
from gdlab.analysis import validation
from gdlab.monitors.validation import COLUMNS
from gdlab.records import STEP_COLUMNS

SCALARS = store.ArraySpec("f8", (len(STEP_COLUMNS),), STEP_COLUMNS)
ROWS = store.ArraySpec("f8", (len(COLUMNS),), COLUMNS)


def made(folder, losses, rows):
    """A run of K iterations with K + 1 errors, two evaluations and a tenth of a second each."""
    scalars = np.zeros((len(losses) - 1, len(STEP_COLUMNS)))
    columns = {"loss": losses[:-1], "loss_end": losses[1:], "evaluations": 2}
    for name, values in (columns | {"seconds": 0.1 * np.arange(1, len(losses))}).items():
        scalars[:, STEP_COLUMNS.index(name)] = values
    arrays = {"scalars": SCALARS, "validation": ROWS}
    with store.RunWriter.create(folder, config={"seed": 0}, identity={}, arrays=arrays) as writer:
        writer.append({"scalars": scalars})
        if len(rows):
            writer.append({"validation": np.array(rows, float)})
        writer.set_status("finished")
    return store.open_run(folder)


def test_columns_are_those_that_are_recorded():
    assert validation.COLUMNS == COLUMNS


def test_rows_and_their_best(tmp_path):
    nan = float("nan")
    losses = np.array([3.0, 1.0, nan, 0.5, 0.5, 0.7])
    rows = [[0, 2.0, 0.1, 2.1, 0.2], [3, 0.9, 0.8, 0.6, 0.9], [5, 1.1, 0.7, 0.3, 0.95]]
    run = made(tmp_path / "run", losses, rows)
    found = validation.rows(run).columns
    for i, name in enumerate(COLUMNS):
        np.testing.assert_array_equal(found[name], [row[i] for row in rows])
    numbers = validation.reached(run)
    assert numbers == {
        "iterations": 5,
        "evaluations": 10,
        "seconds": pytest.approx(0.5),
        "best_loss": 0.5,
        "best_at": 3,
        "last_loss": 0.7,
        "best_accuracy": 0.8,
        "accuracy_at": 3,
        "last_accuracy": 0.7,
        "best_validation_loss": 0.9,
        "last_validation_loss": 1.1,
    }
    assert tuple(numbers) == validation.REACHED
    both = validation.side_by_side([("a", run), ("b", run)]).columns
    assert list(both["run"]) == ["a"] * 3 + ["b"] * 3
    np.testing.assert_array_equal(both["accuracy"], [0.1, 0.8, 0.7] * 2)


def test_what_is_not_recorded_is_not_a_number(tmp_path):
    run = made(tmp_path / "run", np.array([1.0, float("nan")]), [])
    assert not validation.validated(run) and len(validation.rows(run).columns["loss"]) == 0
    numbers = validation.reached(run)
    assert (numbers["best_loss"], numbers["best_at"]) == (1.0, 0)
    assert np.isnan([numbers[name] for name in validation.REACHED[5:]]).all()
    empty = made(tmp_path / "empty", np.array([1.0]), [])
    assert validation.reached(empty)["iterations"] == 0
    assert np.isnan(validation.reached(empty)["last_loss"])
