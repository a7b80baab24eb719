"""How a problem without classes does on examples it is not trained on, by its own measures, every so often.

Evaluated between chunks of the training by a program of its own, so that it changes no bit of a run. The
examples are the same for every run, whatever its seed, so that runs compare.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.monitors.evaluation import sample
from gdlab.store import ArraySpec


class Judging:
    """Evaluates `problem.measures` on a fixed sample of the test and of the training set.

    problem   a Problem with measures
    dataset   a Dataset with a test set
    examples  size of each sample; None: all
    """

    def __init__(self, problem, dataset, *, examples):
        self.samples = [sample(dataset, part, examples) for part in ("test", "train")]
        self.judge = make_judge(problem)
        self.names = measured_names(problem, dataset)
        # As of classifiers: each measure, and the same on the training set.
        self.columns = ("iteration", *self.names, *(f"train_{name}" for name in self.names))

    def specs(self):
        """{name: ArraySpec} of the array that a run folder needs."""
        spec = ArraySpec(dtype="f8", row_shape=(len(self.columns),), columns=self.columns)
        return {"validation": spec}

    def rows(self, params, step):
        """{name: rows [1, columns]} of the parameters after `step` iterations."""
        found = [self.judge(params, data) for data in self.samples]
        values = [part[name] for part in found for name in self.names]
        return {"validation": np.array([[step, *values]])}


def can_judge(problem, dataset):
    """Whether the run has what is needed: a test set, and a problem that says how it is measured."""
    return problem.measures is not None and dataset is not None and dataset.test is not None


def measured_names(problem, dataset):
    """What `problem.measures` tells, by name, "loss" first."""
    params = jax.eval_shape(problem.init, jax.random.key(0))
    batch = {name: jnp.asarray(array[:1]) for name, array in dataset.train.items()}
    means = jax.eval_shape(problem.measures.means, params, batch)
    told = problem.measures.told(dict.fromkeys(means, 1.0))
    return ("loss", *(name for name in told if name != "loss"))


def make_judge(problem):
    """(params, {name: [n, ...]}) -> {name: float}: what `problem.measures` tells of n examples, in blocks."""
    block = jax.jit(problem.measures.means)

    def judge(params, data):
        count, size = len(next(iter(data.values()))), problem.measures.block
        total: dict[str, float] = {}
        for start in range(0, count, size):
            part = {name: jnp.asarray(array[start : start + size]) for name, array in data.items()}
            weight = len(next(iter(part.values()))) / count
            for name, value in block(params, part).items():
                total[name] = total.get(name, 0.0) + weight * float(value)
        if not all(map(math.isfinite, total.values())):
            return dict.fromkeys(problem.measures.told(dict.fromkeys(total, 1.0)), math.nan)
        return problem.measures.told(total)

    return judge
