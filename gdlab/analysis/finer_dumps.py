"""Dumps that a replay took of an interval, read like those that were recorded."""

import numpy as np

from gdlab.analysis.dumps import Dumps


class _Replayed:
    """A Table of gdlab.probes.dumps in the place of a run."""

    generation = 0

    def __init__(self, run, table):
        self.name, self._columns = run.name, table.columns
        self.identity = {**run.identity, "network": table.attrs["network"]}
        self._run = run
        self.arrays = tuple(table.columns)

    def rows(self, name):
        return len(self._columns[name])

    def array(self, name, start=None, stop=None):
        return self._columns[name][start:stop]

    def columns(self, name):
        return self._run.columns(name) if name in self._run.arrays else ()

    def refresh(self):
        return False


def finer_dumps(run, table) -> Dumps:
    """The Dumps of a Table that gdlab.probes.dumps computed of a run; ValueError where it is damaged."""
    columns = {name: np.asarray(array) for name, array in table.columns.items()}
    return Dumps(_Replayed(run, table._replace(columns=columns)))
