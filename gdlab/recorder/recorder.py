"""Records a training that somebody else's loop makes."""

import atexit
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from gdlab.execution.identity import identity
from gdlab.recorder import parameters, place
from gdlab.recorder.handing import Written, found_in, holds_observation, iterations_of, kept, number_of
from gdlab.recorder.handover import BUDGET, handover
from gdlab.recorder.outbox import Outbox
from gdlab.recorder.pen import Pen
from gdlab.recorder.saying import RecordingWarning, ending, said, words
from gdlab.store.effects import CONFIG
from gdlab.store.signals import Uninterrupted

LONGEST = 3600  # s between commits


class Recorder:
    """Writes a run folder, which every page and function of gdlab opens, from a loop of one's own.

        recorder = gdlab.Recorder("runs/mine", config={"learning_rate": 1e-3})
        for step, batch in enumerate(batches):
            params, opt_state, seen = train_step(params, opt_state, batch)
            recorder.write(step, seen, accuracy=accuracy)
        recorder.close()

    More can be seen of a training that hands over more: functions here, parameters with each `write`.
    Also a context manager: left by an exception the run is "failed", by Ctrl-C "interrupted". What is never
    closed is closed when the process ends. No error of the recorder ends a training: it warns once
    (RecordingWarning) and records nothing more, unless `strict`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        config: Mapping[str, Any] | None = None,
        resume: bool = False,
        strict: bool = False,
        commit_seconds: float = 2.0,
        loss: Callable | None = None,
        predict: Callable | None = None,
        activations: Callable | None = None,
        step: Callable | None = None,
        batch: Callable | None = None,
        examples: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        every: int | None = None,
        moments: int | Sequence[int] | None = None,
        budget: str | int | None = BUDGET,
    ):
        """Args:
          path: of the run folder, "runs/NAME": new, empty, or, with `resume`, of the run to go on with.
          config: hyper-parameters, nested as one likes; they are what runs are told apart by. Of a run that
            goes on, None takes those it has.
          resume: go on with the run in the folder, if there is one. The first iteration written decides: what
            was recorded from it on is cut, as a loop that begins again at its checkpoint makes it anew.
          strict: raise errors instead of warning.
          commit_seconds: how often readers see new rows; so many seconds are lost if the process is killed.
          loss: (params, batch) -> (), or with `aux` handed over (params, batch, aux); a pair begins with it.
          predict: (params, x [B, ...]) -> [B, classes], or (params, x, aux).
          activations: (params, x) -> {layer: [B, ...]}, or (params, x, aux); see `activations_of`.
          step: the pure (state, batch) -> (state, seen) that the loop runs.
          batch: iteration -> batch, pure. What these functions compute is written into the run.
          examples: {"train": {"x": [n, ...], "y": [n]}, "test": ...}, one of the two at least; y: classes.
          classes: their names.
          every: iterations between dumps: answers for the test examples, statistics of layers and filters.
          moments: how many iterations are kept with the parameters before and after them (64 at most, more
            densely at the beginning), or which.
          budget: of all that is kept of parameters, "500 MB" or bytes; 0: nothing.

        Raises:
          gdlab.store.RunExists: the folder holds this run already. ConfigMismatch: one with another config.
          RunLocked: another process writes it. NotARun: it holds other files. ValueError: a config that is
          not made of numbers, texts, lists and dicts; what is handed over is not what is expected.
        """
        if not (isinstance(commit_seconds, (int, float)) and 0 < commit_seconds <= LONGEST):
            raise ValueError(
                f"commit_seconds={commit_seconds!r}: a number above 0 is expected, at most {LONGEST}"
            )
        self.path, self.strict = Path(os.path.abspath(path)), strict
        self._own_config = None if config is None else place.checked(config)
        self._parameters = parameters.Parameters(
            handover(
                loss=loss, predict=predict, activations=activations, step=step, batch=batch, every=every,
                examples=examples, classes=classes, budget=budget, moments=moments,
            )
        )  # fmt: skip
        self._former_error = getattr(sys, "last_value", None)
        self._resume, self._every = bool(resume), commit_seconds
        self._pen: Pen | None = None
        self._outbox = Outbox()
        self._lock = threading.RLock()
        self._open, self._stopping, self._pid = True, False, os.getpid()
        self._start = time.monotonic()
        self.active = jax.process_index() == 0  # one process writes; in the others every call does nothing
        if self.active:
            place.check(os.fspath(self.path), self._own_config, self._resume)

    @property
    def config(self) -> dict[str, Any]:
        """The hyper-parameters; items may be set until the first `write`, later changes are not recorded."""
        if self._own_config is None:
            run = place.begun(self.path) if self._resume else None
            self._own_config = run.config[CONFIG] if run else {}
        return self._own_config

    @property
    def should_stop(self) -> bool:
        """Whether a reader asks the training to end (`python -m gdlab task=stop run=...`): the loop breaks,
        and the run is "interrupted". Costs nothing. Of several processes the first one alone knows."""
        self._stopping = self._pen is not None and self._pen.stop.is_set()
        return self._stopping

    def start(self, params: Any, *, step: int = 0, aux: Any = None, state: Any = None) -> None:
        """Hands over theta_k before iteration k = `step`: the start of the path, which no `write` has.

        Of loops that write every so often only: called before an iteration, it can be a moment.
        """
        given = {"params": params, "batch": None, "aux": aux, "state": state}
        self._guarded(lambda: self._start_with(step, given))

    def write(
        self,
        step: int,
        seen: Any = None,
        /,
        *,
        params: Any = None,
        batch: Any = None,
        aux: Any = None,
        state: Any = None,
        **metrics: Any,
    ) -> None:
        """Records iteration `step`; takes some microseconds and does not wait for the device.

        Args:
          step: >= 0. Repeated: added to that iteration. Smaller than before: what was recorded from it on
            is cut, with a warning.
          seen: an Observation of `observe`; or anything that holds one, such as the state of an optimizer
            made by `watch`; or a mapping of metrics. An Observation that came out of `lax.scan`, with values
            [T, S], is of the iterations step ... step + T - 1.
          params: the parameters after the iteration, any pytree; they are copied where something is due.
          batch: the batch of the iteration, as `loss` takes it.
          aux: what `loss` and `predict` take besides: batch statistics as they are now, the iteration's keys.
          state: the whole state after the iteration, as `step` takes it.
          metrics: numbers by name, on the device or not; [T] with the Observation of a scan. "loss",
            "grad_norm", "update_norm", "slope" and "epoch" are columns of the steps; others are metrics, each
            with iterations of its own.

        Raises, where `strict`: ValueError for what cannot be recorded, and errors of the store.
        """
        given = {"params": params, "batch": batch, "aux": aux, "state": state}
        self._guarded(lambda: self._write(step, seen, metrics, given))

    def _guarded(self, call):
        if not self.active or os.getpid() != self._pid:
            return
        with self._lock:
            try:
                call()
            except Exception as error:
                self._failed(error)

    def close(self, state: str | None = None, reason: str | None = None) -> None:
        """Writes what waits and ends the run; may be called twice.

        state: finished, interrupted, diverged or failed; None: finished, or interrupted where `should_stop`
        has said so. reason: of it, in words.
        """
        state, reason = ending(state, reason, self._stopping)
        if not (self.active and self._open) or os.getpid() != self._pid:
            return
        with self._lock:
            self._open = False
            atexit.unregister(self._at_exit)
            try:
                pen = self._begun()
                last = tuple(self._parameters.finish())
                self._outbox.put(Written(0, self._seconds(), commands=last))
                errors = self._outbox.hand_on(pen, everything=True)
                pen.close(state, reason)
                for error in errors:
                    self._failed(error)
                self._tell(pen)
            except Exception as error:
                self._failed(error)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.close()
        elif issubclass(kind, KeyboardInterrupt):
            self.close("interrupted", "stopped by the user")
        elif issubclass(kind, SystemExit) and error.code in (None, 0):
            self.close()
        else:
            self.close("failed", said(error))

    def _begun(self):
        if self._pen is None:
            config = self._own_config
            if config is not None or not (self._resume and place.begun(self.path)):
                config = place.recorded(place.checked(config or {}))
            facts = {**identity(), "recorder": True}
            with Uninterrupted():  # half a beginning would lock the folder
                self._pen = Pen(
                    self.path, config, facts, resume=self._resume, every=self._every,
                    asked=self._parameters.keeper.ask,
                    measuring=self._parameters.measuring if self._parameters.handover.every else None,
                )  # fmt: skip
            self._start -= self._pen.before
            atexit.register(self._at_exit)  # after the writer's own: what comes last is called first
            self._parameters.begin(os.fspath(self.path), self._pen.last)
        return self._pen

    def _ready(self):
        """The Pen, where it can be written with."""
        if not self._open:
            raise ValueError(f"the recorder of {self.path} is closed: nothing more is recorded")
        pen = self._begun()
        if pen.failure is not None:
            raise pen.failure
        self._tell(pen)
        return pen

    def _start_with(self, step, given):
        pen = self._ready()
        step = number_of(step)
        self._send(pen, Written(step, self._seconds(), commands=tuple(self._parameters.start(step, given))))

    def _write(self, step, seen, metrics, given):
        pen = self._ready()
        if isinstance(seen, Mapping) and not holds_observation(seen):
            metrics, seen = {**seen, **metrics}, None
        try:
            layout, values = found_in(seen)
        except ValueError as error:  # the numbers beside it are recorded all the same
            layout = values = None
            if self.strict or not metrics:
                raise
            self._failed(error)
        commands: list = []
        if self._parameters.used or any(value is not None for value in given.values()):
            try:
                parameters.checked(given, bool(self._parameters.handover.functions))
                count = iterations_of(values)
                commands = self._parameters.look(number_of(step), count, given, layout)
            except Exception as error:  # the numbers beside it are recorded all the same
                self._failed(error)
        numbers = {name: kept(value) for name, value in metrics.items()}
        moved = given["params"] is not None
        self._send(pen, Written(kept(step), self._seconds(), layout, values, numbers, tuple(commands), moved))

    def _send(self, pen, written):
        self._outbox.put(written)
        if self._parameters.facts:
            pen.tell(self._parameters.facts)
            self._parameters.facts = {}
        for wrong in self._outbox.hand_on(pen):
            self._failed(wrong)

    def _seconds(self):
        return time.monotonic() - self._start

    def _tell(self, pen):
        for note in [*pen.new_notes(), *self._parameters.notes()]:
            warnings.warn(f"{self.path}: {note}", RecordingWarning, stacklevel=4)
        if pen.failure is not None:
            raise pen.failure

    def _failed(self, error):
        if self.strict:
            raise error
        if isinstance(error, RecordingWarning):  # warnings are errors in this process
            raise error
        if self._pen is None or self._pen.failure is not None:
            self.active = False
            atexit.unregister(self._at_exit)
        told = f"{self.path}: {words(error)}" + ("" if self.active else "; nothing more is recorded")
        warnings.warn(told, RecordingWarning, stacklevel=3)

    def _at_exit(self):
        error = getattr(sys, "last_value", None)  # set where an exception has ended the process
        if error is None or error is self._former_error:
            self.close(None, "the process ended without closing the recorder")
        else:
            self.__exit__(type(error), error, None)
