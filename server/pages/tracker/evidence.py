"""What the tracker's views read of a run's dumps, each answer computed once and kept for all sessions."""

from collections import defaultdict
from threading import Lock

import numpy as np

from gdlab.analysis import anomalies, class_curves, filters
from gdlab.analysis.dumps import open_dumps
from gdlab.records import Table

KEPT = 64  # answers that depend on settings, per run

_lock = Lock()


class Evidence:
    """The dumps of one run and what follows from them; `refresh` takes in new dumps.

    dumps: gdlab.analysis.dumps.Dumps; layers: positions [L] of the nodes that are layers; first [L + 1]:
    where the filters of each begin, and the end.
    """

    def __init__(self, run):
        self.dumps = open_dumps(run)
        self.layers, self.first = filters.layer_starts(self.dumps.nodes)
        self._answers: dict = {}
        self._locks: dict = defaultdict(Lock)  # of the answers: two threads never compute the same one

    def refresh(self) -> None:
        """Takes in what has been recorded since; answers to older questions are forgotten."""
        newer = self.dumps.refresh()
        if newer is not self.dumps:
            self.dumps = newer
            self.layers, self.first = filters.layer_starts(newer.nodes)
            self._answers = {}  # a new one: a thread may still be at work for the old one

    def flips(self):
        """Every flip of every image, as gdlab.analysis.anomalies.Flips."""
        return self._kept(("flips",), lambda: anomalies.flips(self.dumps.right()))

    def knows_flips(self) -> bool:
        """Whether they have been found, so that anomalies take a moment only."""
        return ("flips",) in self._answers

    def rates(self):
        """Error rate of every class, float [C, D]; NaN for classes without images."""
        return self._kept(("rates",), lambda: class_curves.error_rates(self.dumps.right(), self.dumps.starts))

    def clusters(self, k: int):
        """k-means over the class curves, as gdlab.analysis.class_curves.Clusters."""
        return self._kept(("clusters", k), lambda: class_curves.clusters(self.rates(), k))

    def knows_clusters(self, k: int) -> bool:
        """Whether they have been found."""
        return ("clusters", k) in self._answers

    def scores(self, window: int, rule: str):
        """Images of each class that show a rule's pattern, int32 [C, D]."""

        def count():
            return anomalies.scores(self.flips(), self.dumps.starts, window, rule)

        return self._kept(("scores", window, rule), count)

    def proposal(self):
        """The proposed window and threshold, as gdlab.analysis.anomalies.Proposal."""
        return self._kept(("proposal",), lambda: anomalies.propose(self.flips(), self.dumps.starts))

    def knows_proposal(self) -> bool:
        """Whether it has been computed."""
        return ("proposal",) in self._answers

    def change(self, measure: str):
        """How far every filter changed since the dump before, float [D, F], by one of filters.MEASURES."""
        return self._kept(("change", measure), lambda: self.dumps.filter(filters.MEASURES[measure]))

    def anomaly_filters(self, k: int, measure: str, dumps: tuple):
        """The k filters that changed most at each of some dumps, a Table: dump, filter, change, rank."""

        def find():
            return filters.anomaly_filters(self.change(measure), k)

        # Of every dump once: which of them count changes with every threshold, the filters do not.
        found = self._kept(("filters", k, measure), find)
        wanted = np.isin(found.columns["dump"], dumps)
        columns = {name: values[wanted] for name, values in found.columns.items()}
        return Table(columns, found.dims, found.attrs | {"dumps": np.array(dumps, np.int64)})

    def _kept(self, key, compute):
        answers = self._answers
        with self._locks[key]:
            if key not in answers:
                answer = compute()
                if len(answers) >= KEPT:
                    answers.pop(next(iter(answers)))
                answers[key] = answer
            return answers[key]


def evidence(run) -> Evidence:
    """The Evidence of a run's reader. ValueError where the run has no dumps, or describes them wrongly."""
    with _lock:  # a page is prefetched in a thread
        known = vars(run)  # it goes with the reader, to which it leads back
        found = known.get("evidence") or known.setdefault("evidence", Evidence(run))
        found.refresh()
        return found
