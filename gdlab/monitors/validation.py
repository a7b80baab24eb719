"""How a classifier does on examples it is not trained on, and on as many that it is, every so often.

Evaluated between chunks of the training by a program of its own, so that it changes no bit of a run.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.monitors.evaluation import BLOCK, predicts_classes, sample
from gdlab.store import ArraySpec

CALIBRATION = 2000  # training examples whose statistics a network with batch normalisation is given
COLUMNS = ("iteration", "loss", "accuracy", "train_loss", "train_accuracy")


class Predictions(NamedTuple):
    """loss: mean cross-entropy in nats; labels: int64 [n], the predicted classes, 0 where logits are NaN;
    classes: C, how many there are."""

    loss: float
    labels: np.ndarray
    classes: int


class Validation:
    """Evaluates a classifier on a fixed sample of the test and of the training set.

    problem   a Problem whose `predict` returns logits
    dataset   a Dataset with a test set
    examples  size of each sample, the first of a seeded permutation; None: all
    version   of `calibration`
    """

    def __init__(self, problem, dataset, *, examples, seed, version):
        self.samples = [sample(dataset, part, examples, seed) for part in ("test", "train")]
        self.evaluate = make_evaluate(problem)
        self.calibration = calibration(problem, dataset, version)

    def specs(self):
        """{name: ArraySpec} of the array that a run folder needs."""
        return {"validation": ArraySpec(dtype="f8", row_shape=(len(COLUMNS),), columns=COLUMNS)}

    def rows(self, params, step):
        """{name: rows [1, 5]} of the parameters after `step` iterations."""
        return {"validation": np.array([[step, *self.row(params)]])}

    def row(self, params):
        """(loss, accuracy, train_loss, train_accuracy): mean cross-entropy in nats, share of right labels."""
        results = [self.evaluate(params, sample, self.calibration) for sample in self.samples]
        return tuple(float(value) for loss, accuracy, _ in results for value in (loss, accuracy))


def can_validate(problem, dataset):
    """Whether the run has what is needed: a test set, and logits for each of its classes."""
    return predicts_classes(problem, dataset) and dataset.test is not None


def calibration(problem, dataset, version):
    """Training examples whose statistics batch normalisation is given; None for networks without it.

    version: `record.version` of the run. 2: CALIBRATION of a permutation that is the same for every run, in
    the data's order; 1: the first ones, which in data that are sorted by class are of some classes alone.
    """
    if not problem.statistics:
        return None
    if hasattr(problem.statistics, "examples"):  # what a loop has handed over stands for what is measured
        return problem.statistics.examples()
    if version == 1:
        return dataset.train["x"][:CALIBRATION]
    return sample(dataset, "train", CALIBRATION, seed=0)["x"]


def make_evaluate(problem):
    """(params, {"x": [n, ...], "y": [n]}, calibration x or None) -> (loss, accuracy, confusion [C, C] int64).

    Mean cross-entropy, share of right labels, and how often true class (row) was given which label
    (column), over all n examples.
    """
    predict = make_predictions(problem)

    def evaluate(params, data, calibration=None):
        loss, predicted, classes = predict(params, data, calibration)
        counts = np.bincount(np.asarray(data["y"], np.int64) * classes + predicted, minlength=classes**2)
        confusion = counts.reshape(classes, classes)
        return loss, float(np.trace(confusion)) / len(predicted), confusion

    return evaluate


def summed_cross_entropy(logits, y, counts):
    """Cross-entropy of logits [B, C] with labels y [B], in nats, summed over the rows where `counts` [B]."""
    correct = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
    return jnp.where(counts, jax.nn.logsumexp(logits, axis=1) - correct, 0).sum()


def make_predictions(problem):
    """(params, {"x": [n, ...], "y": [n]}, calibration x or None) -> Predictions, in blocks of examples."""

    @jax.jit
    def block(params, x, y, weight, statistics):
        logits = _logits(problem, params, x, statistics)
        loss = summed_cross_entropy(logits, y, weight > 0)
        return loss, logits.argmax(axis=1), logits.shape[1]

    measured = jax.jit(problem.statistics or (lambda params, x: None))

    def predict(params, data, calibration=None):
        statistics = None if calibration is None else measured(params, jax.tree.map(jnp.asarray, calibration))
        n = len(data["y"])
        size = min(BLOCK, n)
        loss, labels, classes = 0.0, np.empty(n, np.int64), 0
        for start in range(0, n, size):
            x, y = (np.asarray(data[name][start : start + size]) for name in ("x", "y"))
            used = len(y)
            x, y = (np.concatenate([part, part[:1].repeat(size - used, axis=0)]) for part in (x, y))
            part, found, classes = block(params, x, y, np.arange(size) < used, statistics)
            loss += float(part)
            labels[start : start + used] = np.asarray(found)[:used]
        return Predictions(loss / n, labels, int(classes))

    return predict


def interval(every, steps, count=50):
    """Iterations between validations: `every`, or for "auto" as many as make `count` in the whole run."""
    return max(1, -(-steps // count)) if every == "auto" else int(every)


def _logits(problem, params, x, statistics):
    return problem.predict(params, x) if statistics is None else problem.predict(params, x, statistics)
