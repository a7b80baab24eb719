"""What the claims are measured on: the dumps of a run, its stages and its anomalies."""

from typing import NamedTuple

import numpy as np

from experiments.recorded import run_probe
from experiments.tables import Claim, verdict_of
from gdlab.analysis import anomalies, class_curves, filters
from gdlab.analysis.dumps import Dumps, open_dumps
from gdlab.records import Table

EARLY = 0.1  # share of the dumps that counts as the beginning
SAMPLES = 4000  # test images that a network without some filters is looked at with
CONTROLS = 3  # sets of other filters of the same layers, drawn at random
HARMLESS = 0.005  # loss of accuracy that is none


class Record(NamedTuple):
    """A run with dumps, D of them, and what most claims ask of it.

    rates [C, D] error rate of each class; error [D] of all images; window, threshold: as `propose` sets
    them; found: the anomalies of both rules with them; begin [S + 1]: the first dump of each stage of
    constant learning rate, and D.
    """

    run: object
    dumps: Dumps
    rates: np.ndarray
    error: np.ndarray
    window: int
    threshold: int
    found: Table
    begin: np.ndarray

    @property
    def early(self):
        """The dump with which the beginning is over."""
        return max(1, round(EARLY * self.dumps.count))

    @property
    def layers(self):
        """Positions of the convolutions among the nodes, in network order."""
        return [i for i in self.dumps.layers() if self.dumps.nodes[i].kind == "conv"]

    @property
    def change(self):
        """How far every filter turned since the dump before, [D, F]."""
        return self.dumps.filter(filters.MEASURES["cosine"])


class Finding(NamedTuple):
    """What a claim's measure says of one run: in words; hits, what of the claim holds (bools); numbers."""

    words: str
    hits: list
    details: dict


class Evidence(NamedTuple):
    """records: {Setting: Record} of all finished runs; diverged: [Setting]."""

    records: dict
    diverged: list

    def staged(self):
        """{Setting: Record} of the trainings with a learning rate in stages."""
        return {setting: record for setting, record in self.records.items() if setting.times == 1}

    def residual(self):
        """{Setting: Record} of the residual network."""
        return {setting: record for setting, record in self.records.items() if setting.data == "cifar10"}


def observe(run) -> Record:
    """The Record of a gdlab.store Run. ValueError where it has no dumps."""
    dumps = open_dumps(run)
    flips = anomalies.flips(dumps.right())
    chosen = anomalies.propose(flips, dumps.starts)
    found = anomalies.detect(flips, dumps.starts, chosen.window, chosen.threshold)
    rates = class_curves.error_rates(dumps.right(), dumps.starts)
    rate = dumps.scalars["learning_rate"]
    begin = np.concatenate([[0], np.flatnonzero(np.diff(rate) != 0) + 1, [dumps.count]])
    error = 1 - dumps.scalars["accuracy"]
    return Record(run, dumps, rates, error, chosen.window, chosen.threshold, found, begin)


def claim(number, claim, reported, records, measure, setting):
    """The Claim of a measure, (Record) -> Finding, over {Setting: Record}."""
    found: dict[str, list] = {}
    for one, record in records.items():
        found.setdefault(one.label, []).append(measure(record))
    words = [f"{label}: {' / '.join(f.words for f in parts)}" for label, parts in found.items()]
    hits = [hit for parts in found.values() for finding in parts for hit in finding.hits]
    details = {label: [f.details | {"hits": f.hits} for f in parts] for label, parts in found.items()}
    return Claim(number, claim, reported, "; ".join(words), verdict_of(hits), setting, details)


def without(record, chosen):
    """The Table of what the network loses without the filters `chosen`, and without others at random."""
    options = {"filters": [int(f) for f in chosen], "samples": SAMPLES, "controls": CONTROLS}
    return run_probe(record.run.path, "ablation", options)


def losses(table):
    """(accuracy lost without the chosen filters, mean accuracy lost without random ones) of such a Table."""
    attrs = table.attrs
    others = attrs["accuracy"] - np.mean(attrs["control_accuracy"])
    return attrs["accuracy"] - attrs["accuracy_without"], float(others)
