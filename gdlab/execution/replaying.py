"""What a probe is given: a recorded training that can be asked for its parameters, wherever they come from.

`gdlab.execution.opening.open_replay` finds what the run in a folder can give: gdlab's own training run again,
from the config or from the functions that the run carries, or the moments that a loop of somebody's own
handed over. No probe knows the difference.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from gdlab.execution.comparisons import Report
from gdlab.records import Problem, StepInfo
from gdlab.store import Run


class Step(NamedTuple):
    """Iteration k again: params theta_k, updates eta_k d_k (pytrees on the device), a StepInfo of scalars."""

    iteration: int
    params: Any
    updates: Any
    info: StepInfo


class Assembled(Protocol):
    """What a training is made of, as far as probes ask for it."""

    @property
    def problem(self) -> Problem:
        """What is minimised."""

    @property
    def dataset(self) -> Any:
        """The host's `gdlab.data.Dataset`, or None."""

    @property
    def data(self) -> Any:
        """Dict of device arrays [n, ...], or None for a problem without data."""

    @property
    def key(self) -> Any:
        """The run's random key."""


class Replaying(Protocol):
    """What a probe may ask of a recorded training; `gdlab.execution.replay.Replay` is one."""

    @property
    def run(self) -> Run:
        """The run that is looked at."""

    @property
    def config(self) -> Mapping:
        """Its config, with every option that probes read."""

    @property
    def version(self) -> int:
        """`record.version`: which examples stand for all where the network is measured."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of run.array("scalars")."""

    @property
    def assembly(self) -> Assembled:
        """What it was trained on."""

    def in_precision(self) -> AbstractContextManager[None]:
        """JAX in the precision of the run within the block."""

    def stale(self) -> bool:
        """Whether the folder holds another run by now, so that this is of no use."""

    def memo(self, name: Hashable, build: Callable[[], Any]) -> Any:
        """What `build()` returned the first time."""

    def report(self) -> Report:
        """How everything that was replayed compared with the record."""

    def steps(self, start: int, stop: int, progress: Callable[[float, str], object] = ...) -> Iterator[Step]:
        """A Step for each iteration of [start, stop) that can be given, in order."""

    def params(self, iteration: int) -> Any:
        """theta_k as a pytree of the form that `assembly.problem` takes; ValueError where it cannot be
        had."""

    def batch(self, iteration: int) -> dict | None:
        """The batch of an iteration: dict of arrays [b, ...], or None for a problem without data."""

    def key(self, iteration: int) -> Any:
        """The random key that the error of an iteration was computed with, or None."""
