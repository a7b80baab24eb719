"""What a network makes of its training data: the codes of a dimension-reducing map, per class.

Source: Becker, Lippel, Zielke 2019, Figure 5.
"""

import numpy as np

from gdlab.analysis.separation import two_threshold_accuracy
from gdlab.records import Table


def compute(replay, *, iteration=None, progress):
    """Codes of the training data at theta_k.

    Args:
      replay: a gdlab Replay of a run whose problem predicts one number per example.
      iteration: k, 0 to K; None: the last one recorded.
      progress: (fraction, text) -> None.

    Returns:
      A Table: code [n], label [n], x [n, d] (the data as trained on); attrs: accuracy of the best two
      thresholds where there are three classes (else NaN), iteration.

    Raises:
      ValueError: the problem has no such codes, or the iteration is not recorded.
    """
    problem, data = replay.assembly.problem, replay.assembly.data
    if problem.predict is None or not data or "y" not in data:
        raise ValueError(
            "this run's problem has no codes to show: it needs labelled data and a predict function"
        )
    last = replay.run.rows("scalars")
    iteration = last if iteration is None else iteration
    if not 0 <= iteration <= last:
        raise ValueError(f"iteration={iteration}: allowed: 0 to {last}")
    progress(0.0, f"codes at iteration {iteration:,}")
    codes = np.asarray(problem.predict(replay.params(iteration), data["x"]))
    if codes.reshape(len(codes), -1).shape[1] != 1:
        raise ValueError(
            f"codes of {codes.shape[1]} dimensions cannot be drawn as a histogram; one is needed"
        )
    code, label = codes.reshape(-1).astype(np.float64), np.asarray(data["y"])
    accuracy = two_threshold_accuracy(code, label) if len(np.unique(label)) == 3 else float("nan")
    columns = {"code": code, "label": label, "x": np.asarray(data["x"], np.float64)}
    dims = {"code": ("example",), "label": ("example",), "x": ("example", "feature")}
    return Table(columns, dims, {"accuracy": accuracy, "iteration": iteration})
