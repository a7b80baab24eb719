"""What the claims are measured on: the runs by their setting, and numbers taken from them."""

from typing import NamedTuple

import numpy as np

from experiments.kuchta2023.training import Place, Setting
from experiments.recorded import run_probe
from gdlab.analysis import step_sizes

WINDOWS = 100  # a step-size curve is averaged over hundredths of the run
EARLY = 0.2  # of the run: where a hill at the beginning must have its top


class Evidence(NamedTuple):
    """place: where everything lies; runs: {Setting: Run} of all that were trained; short: a quick pass."""

    place: Place
    runs: dict
    short: bool

    def of(self, data, optimizer, **changes):
        """{seed: Run} of a setting, seeds in order; empty where none was trained."""
        wanted = Setting(data, optimizer, **changes)
        found = {s.seed: run for s, run in self.runs.items() if s._replace(seed=0) == wanted}
        return dict(sorted(found.items()))

    def surface(self, run, **options):
        """The Table of a surface of a run, computed where it is missing."""
        small = {"resolution": 5, "samples": 200} if self.short else {}
        return run_probe(run.path, "surface", {**options, **small})


class Curve(NamedTuple):
    """A run's step sizes over its windows: iteration, value [W]; and `step_sizes.summary` of them."""

    iteration: np.ndarray
    value: np.ndarray
    numbers: dict


def curve(run):
    """The Curve of a run."""
    count = run.rows("scalars")
    column = run.columns("scalars").index("update_norm")
    window = max(1, count // WINDOWS)
    means = step_sizes.averages(lambda a, b: run.array("scalars", a, b)[:, column], 0, count, window)
    return Curve(means.columns["iteration"], means.columns["mean"], step_sizes.summary(means))


def hill(one):
    """How far the step sizes rise at the beginning: highest of the first EARLY over the first, minus 1."""
    head = one.value[: max(2, round(EARLY * len(one.value)))]
    return float(np.nanmax(head) / head[0] - 1)


def trend_after(one):
    """Rank correlation of the step sizes with k from the top of the hill on: -1 falls, 1 climbs."""
    head = max(2, round(EARLY * len(one.value)))
    top = int(np.nanargmax(one.value[:head]))
    return step_sizes.rank_correlation(one.iteration[top:], one.value[top:])[0]


def change(one):
    """Relative change of the step size from the first tenth of the run to the last."""
    tenth = max(1, len(one.value) // 10)
    return float(np.nanmean(one.value[-tenth:]) / np.nanmean(one.value[:tenth]) - 1)


def validation(run):
    """{column: [rows]} of the run's validation."""
    return dict(zip(run.columns("validation"), np.array(run.array("validation")).T, strict=True))


def accuracy(run):
    """Accuracy on the whole test set after the last iteration."""
    return run_probe(run.path, "confusion", {}).attrs["accuracy"]
