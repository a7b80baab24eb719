"""Validation rows: against scikit-learn's measures on a fresh prediction."""

import jax
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss

from gdlab import store
from gdlab.execution.replay import Replay
from gdlab.monitors import validation
from gdlab.plan import assembly
from gdlab.plan import monitoring as watchers
from gdlab.plan.builder import ConfigError
from gdlab.plan.options import plan_of
from tests import recording
from tests.composing import composed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return recording.digits(tmp_path_factory.mktemp("runs") / "run", validate=6)


def rows(run):
    return dict(zip(run.columns("validation"), np.array(run.array("validation")).T, strict=True))


def test_rows_stand_at_the_asked_for_iterations_and_at_the_end(run, tmp_path):
    assert rows(run)["iteration"].tolist() == [0, 6, 12, 18, 24]
    uneven = recording.digits(tmp_path / "run", steps=10, validate=4)
    assert rows(uneven)["iteration"].tolist() == [0, 4, 8, 10]


def test_rows_equal_scikit_learns_measures_of_a_fresh_prediction(run):
    replay = Replay(run.path)
    measured = rows(run)
    dataset, problem = replay.assembly.dataset, replay.assembly.problem
    for number, iteration in enumerate((0, 12, 24)):
        params = replay.params(iteration)
        for part, prefix in ((dataset.test, ""), (dataset.train, "train_")):
            logits = np.asarray(problem.predict(params, part["x"]), float)
            chance = np.exp(logits - logits.max(axis=1, keepdims=True))
            chance /= chance.sum(axis=1, keepdims=True)
            at = 2 * number
            assert measured[prefix + "loss"][at] == pytest.approx(log_loss(part["y"], chance), rel=1e-4)
            right = accuracy_score(part["y"], logits.argmax(axis=1))
            assert measured[prefix + "accuracy"][at] == pytest.approx(right)


def test_confusion_counts_every_example_once_whatever_the_block(run, monkeypatch):
    replay = Replay(run.path)
    data = replay.assembly.dataset.test
    params = replay.params(24)
    label = np.asarray(replay.assembly.problem.predict(params, data["x"])).argmax(axis=1)
    for block in (1000, 100, 7):
        monkeypatch.setattr(validation, "BLOCK", block)
        _, accuracy, confusion = validation.make_evaluate(replay.assembly.problem)(params, data)
        np.testing.assert_array_equal(confusion, confusion_matrix(data["y"], label))
        assert accuracy == pytest.approx((label == data["y"]).mean())


def test_validation_changes_no_bit_of_the_training(run, tmp_path):
    without = recording.digits(tmp_path / "run", validate=False)
    assert "validation" not in without.arrays
    names = ("loss", "loss_end", "step_size")
    for name in names:
        np.testing.assert_array_equal(without.table("steps").columns[name], run.table("steps").columns[name])


def test_a_sample_is_the_same_in_every_row_and_of_the_asked_for_size(tmp_path):
    config = composed("experiment=digits_cg", "record.validate_examples=50")
    built = assembly.assemble(plan_of(config))
    made, every = watchers.validation(built)
    assert every == 4
    assert [len(sample["y"]) for sample in made.samples] == [50, 50]
    params = built.problem.init(jax.random.key(1))
    assert made.row(params) == made.row(params)


def test_runs_that_cannot_be_validated_have_no_rows_and_say_so_when_asked(tmp_path):
    assert "validation" not in recording.rosenbrock(tmp_path / "run").arrays
    with pytest.raises(ConfigError, match=r"record.validate=5: this run cannot be validated"):
        recording.rosenbrock(tmp_path / "other", validate=5)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("validate", 0, "auto, false, an integer"),
        ("validate_examples", "many", "null"),
        ("layers", 3, "auto"),
    ],
)
def test_wrong_values_are_named(option, value, said):
    config = composed("experiment=digits_cg")
    config["record"][option] = value
    with pytest.raises(ConfigError, match=rf"record.{option}=.*{said}"):
        plan_of(config)


def test_the_run_knows_its_examples_and_classes(run):
    identity = store.open_run(run.path).identity
    assert (identity["examples"], identity["batch_size"]) == (1438, 287)
    assert identity["classes"] == [str(digit) for digit in range(10)]
