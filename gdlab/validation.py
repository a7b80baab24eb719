"""How a classifier does on examples it is not trained on, and on as many that it is, every so often.

Evaluated between chunks of the training by a program of its own, so that it changes no bit of a run.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.evaluation import BLOCK, predicts_classes, sample

CALIBRATION = 2000  # training examples whose statistics a network with batch normalisation is given
COLUMNS = ("iteration", "loss", "accuracy", "train_loss", "train_accuracy")


class Validation:
    """Evaluates a classifier on a fixed sample of the test and of the training set.

    problem   a Problem whose `predict` returns logits
    dataset   a Dataset with a test set
    examples  size of each sample, the first of a seeded permutation; None: all
    """

    def __init__(self, problem, dataset, *, examples, seed):
        self.samples = [sample(dataset, part, examples, seed) for part in ("test", "train")]
        self.evaluate = make_evaluate(problem)
        self.calibration = calibration(problem, dataset)

    def row(self, params):
        """(loss, accuracy, train_loss, train_accuracy): mean cross-entropy in nats, share of right labels."""
        results = [self.evaluate(params, sample, self.calibration) for sample in self.samples]
        return tuple(float(value) for loss, accuracy, _ in results for value in (loss, accuracy))


def can_validate(problem, dataset):
    """Whether the run has what is needed: a test set, and logits for each of its classes."""
    return predicts_classes(problem, dataset) and dataset.test is not None


def calibration(problem, dataset):
    """Training examples whose statistics batch normalisation is given; None for networks without it."""
    return dataset.train["x"][:CALIBRATION] if problem.statistics else None


def make_evaluate(problem):
    """(params, {"x": [n, ...], "y": [n]}, calibration x or None) -> (loss, accuracy, confusion [C, C] int64).

    Mean cross-entropy, share of right labels, and how often true class (row) was given which label
    (column), over all n examples, in blocks. NaN logits count as label 0.
    """

    @jax.jit
    def block(params, x, y, weight, statistics):
        logits = _logits(problem, params, x, statistics)
        correct = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
        loss = jnp.where(weight > 0, jax.nn.logsumexp(logits, axis=1) - correct, 0).sum()
        confusion = jnp.zeros((logits.shape[1],) * 2, jnp.int32).at[y, logits.argmax(axis=1)].add(weight)
        return loss, confusion

    def evaluate(params, data, calibration=None):
        statistics = None if calibration is None else problem.statistics(params, jnp.asarray(calibration))
        n = len(data["y"])
        size = min(BLOCK, n)
        loss, confusion = 0.0, np.zeros((), np.int64)
        for start in range(0, n, size):
            x, y = (np.asarray(data[name][start : start + size]) for name in ("x", "y"))
            weight = np.arange(size) < len(y)
            x, y = (np.concatenate([part, part[:1].repeat(size - len(part), axis=0)]) for part in (x, y))
            part, counts = block(params, x, y, weight.astype(np.int32), statistics)
            loss, confusion = loss + float(part), confusion + np.asarray(counts, np.int64)
        return loss / n, float(np.trace(confusion)) / n, confusion

    return evaluate


def interval(every, steps):
    """Iterations between validations: `every`, or for "auto" a fiftieth of the run."""
    return max(1, -(-steps // 50)) if every == "auto" else int(every)


def _logits(problem, params, x, statistics):
    return problem.predict(params, x) if statistics is None else problem.predict(params, x, statistics)
