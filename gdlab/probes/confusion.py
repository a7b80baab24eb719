"""Which class was taken for which: the confusion matrix at any iteration.

Source: Kuchta 2023, chapter 4.
"""

import numpy as np

from gdlab.monitors.evaluation import at_iteration, predicts_classes, sample
from gdlab.monitors.validation import calibration, make_evaluate
from gdlab.records import Table


def compute(replay, *, iteration=None, on="test", samples=None, progress):
    """Confusion matrix of theta_k on the test or the training set.

    Args:
      replay: a gdlab Replay of a run whose problem predicts classes.
      iteration: k, 0 to K; None: the last.
      on: "test" or "train";  samples: how many examples of it, null: all.
      progress: (fraction, text) -> None.

    Returns:
      A Table: confusion [C, C] counts, true class by predicted class; recall, precision [C] (NaN where a
      class has no example, or is never predicted); classes [C] names. attrs: iteration, on, examples, loss
      (mean cross-entropy), accuracy.

    Raises:
      ValueError: the problem predicts no classes, or an option is not allowed.
    """
    problem, dataset = replay.assembly.problem, replay.assembly.dataset
    if not predicts_classes(problem, dataset):
        raise ValueError("this run's problem predicts no classes: a confusion matrix needs labelled data")
    iteration = at_iteration(replay, iteration)
    data = sample(dataset, on, samples)
    progress(0.0, f"predictions at iteration {iteration:,}")
    evaluate = replay.memo("confusion", lambda: make_evaluate(problem))
    loss, accuracy, confusion = evaluate(
        replay.params(iteration), data, calibration(problem, dataset, replay.version)
    )
    with np.errstate(invalid="ignore"):
        recall, precision = (np.diag(confusion) / confusion.sum(axis=axis) for axis in (1, 0))
    columns = {"confusion": confusion, "recall": recall, "precision": precision}
    columns["classes"] = np.array(dataset.classes)
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(columns, ("class",))
    dims["confusion"] = ("class", "predicted")
    attrs = {"iteration": iteration, "on": on, "examples": len(data["y"])}
    return Table(columns, dims, attrs | {"loss": loss, "accuracy": accuracy})
