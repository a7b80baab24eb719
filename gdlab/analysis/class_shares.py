"""How much of each class a training should see, after an earlier run: the easy classes less.

DeepTracker's experts wished for it after looking at their class curves (Liu et al. 2018, case studies): what
a network learns at once need not be shown as often as what it keeps getting wrong.
"""

import numpy as np

from gdlab import store
from gdlab.analysis import class_curves
from gdlab.analysis.dumps import open_dumps


def shares_of(rates, floor):
    """Shares [C] of the examples: each class's mean error rate over that of the hardest, at least `floor`.

    rates: error rate of each class at some dumps, float [C, D] in [0, 1], NaN where unknown. A class of which
    nothing is known, and all classes where none is ever wrong, get 1. floor: above 0, up to 1.

    Raises:
      ValueError: a floor outside that range.
    """
    if isinstance(floor, bool) or not isinstance(floor, int | float) or not 0 < floor <= 1:
        raise ValueError(f"floor={floor!r}: allowed: above 0, up to 1")
    rates = np.asarray(rates, float)
    known = np.isfinite(rates)
    mean = np.where(known, rates, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    most = mean.max(initial=0.0)
    if not most > 0:
        return np.ones(len(rates))
    return np.where(known.any(axis=1), np.clip(mean / most, floor, 1.0), 1.0)


def from_run(*, path, floor=0.25, last=0.25, on_test=False):
    """(names of the classes, shares [C]) after the dumps of an earlier run.

    Args:
      path: folder of a run with dumps, relative to the working directory.
      floor: the smallest share, above 0, up to 1.
      last: which part of the dumps counts, from the end: above 0, up to 1.
      on_test: whether the dumps may be of the test set. What is then weighed by errors on it is no longer
        measured by it; a run with train.validation has looked at examples of its training set instead.

    Raises:
      FileNotFoundError: there is no run; ValueError: it has no dumps, has looked at its test set without
        on_test, or an option is not allowed;
      gdlab.store.StoreError: it cannot be read.
    """
    if isinstance(last, bool) or not isinstance(last, int | float) or not 0 < last <= 1:
        raise ValueError(f"last={last!r}: allowed: above 0, up to 1")
    if path is None:
        raise ValueError("class_shares.path=None: give the folder of an earlier run with dumps")
    if not isinstance(on_test, bool):
        raise ValueError(f"on_test={on_test!r}: allowed: true, false")
    try:
        run = store.open_run(path)
        dumps = open_dumps(run)
    except FileNotFoundError:
        raise FileNotFoundError(f"class_shares.path={str(path)!r}: there is no such run") from None
    if not on_test and not run.config["train"]["validation"]:
        raise ValueError(
            f"class_shares.path={str(path)!r}: its dumps are of the test set, on which the new run would be "
            "measured after its errors there had weighed the training; train the earlier run with "
            "train.validation=0.1, or give class_shares.on_test=true"
        )
    rates = class_curves.error_rates(dumps.right(), dumps.starts)
    counted = max(1, round(last * rates.shape[1]))
    return tuple(dumps.classes), shares_of(rates[:, -counted:], floor)
