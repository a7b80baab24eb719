"""Ensembles of runs: those that differ in numbers and seeds alone are trained as one program."""

from gdlab.ensemble.outcomes import Outcome, train

__all__ = ["Outcome", "train"]
