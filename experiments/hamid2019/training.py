"""The two ensembles: in full, as `python -m gdlab task=ensemble experiment=NAME` trains them, or smaller.

The smaller ones lie in folders of their own; the full ones where that command puts them.
"""

import copy
from itertools import product
from pathlib import Path
from typing import NamedTuple

from experiments.recorded import chosen, composed
from gdlab import ensemble
from gdlab.analysis.ensemble import open_ensemble

DATA = ("mnist", "cifar10")
RATE, MOMENTUM = "optimizer.learning_rate", "optimizer.momentum"


class Form(NamedTuple):
    """places: which of the eleven values of each hyper-parameter; overrides: {data: of the config}."""

    places: tuple[int, ...]
    overrides: dict[str, tuple[str, ...]]


_TINY = ("train.batch_size=8", "record.validate_examples=40", "record.correlation_examples=10")
_NO_END = "record.loss_end=false"  # a quarter of the time
FORMS = {
    "full": Form(tuple(range(11)), {"mnist": (), "cifar10": ()}),
    # Minutes on two cores: the corners and two values between, 600 and 200 steps.
    "small": Form(
        (0, 3, 6, 10),
        {
            "mnist": ("train.steps=600", "record.validate=30", "record.correlations=30", _NO_END),
            "cifar10": ("train.steps=200", "record.validate=20", "record.correlations=20", _NO_END,
                        "record.validate_examples=500"),
        },
    ),
    # For the tests: every part once.
    "short": Form(
        (0, 5, 10),
        {
            "mnist": ("train.steps=20", "record.validate=2", "record.correlations=2", "model.filters=[4,6]",
                      "model.dense=[8]", *_TINY),
            "cifar10": ("train.steps=20", "record.validate=2", "record.correlations=2",
                        "model.filters=[3,4,5]", "model.dense=[8]", *_TINY),
        },
    ),
}  # fmt: skip


class Place(NamedTuple):
    """Where runs and data lie: runs folder; mnist, cifar10: folders of the data or None (the user's cache);
    images: whether CIFAR-10 lies there as image files; form: a name in FORMS."""

    runs: str
    mnist: str | None = None
    cifar10: str | None = None
    images: bool = False
    form: str = "full"


def run(place, data):
    """(Ensemble, {state: how many runs}) of the data, trained where it is missing."""
    found = jobs(place, data)
    outcomes = ensemble.train([config for config, _ in found], [folder for _, folder in found])
    states: dict[str, int] = {}
    for outcome in outcomes:
        states[outcome.state] = states.get(outcome.state, 0) + 1
    runs = [outcome.run for outcome in outcomes if outcome.run is not None]
    return open_ensemble(runs), states


def jobs(place, data):
    """[(config, folder)] of the runs of an ensemble, in the order of the grid."""
    form, name = FORMS[place.form], f"hamid_{data}"
    shared = ("dataset=images",) if data == "cifar10" and place.images else ()
    config, params = composed(name, *shared, *form.overrides[data])
    config["data_dir"] = getattr(place, data)
    values = [[text.strip() for text in params[key].split(",")] for key in (RATE, MOMENTUM)]
    top = Path(place.runs) / (name if place.form == "full" else f"{name}_{place.form}")
    found = []
    for rate, momentum in product(*([column[i] for i in form.places] for column in values)):
        one = copy.deepcopy(config)
        one["optimizer"] |= {"learning_rate": float(rate), "momentum": float(momentum)}
        named = (*shared, f"{RATE}={rate}", f"{MOMENTUM}={momentum}")
        found.append((one, top / chosen(top, "", named)))
    return found
