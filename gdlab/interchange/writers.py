"""The interfaces that loops already call, over a Recorder: clu's, metrax's, and a callback.

    writer = MetricWriter(gdlab.Recorder("runs/mine"))      # where clu.metric_writers made one
    backend = LoggingBackend(gdlab.Recorder("runs/mine"))   # where metrax or tunix take one
    callback = Callback(gdlab.Recorder("runs/mine"))        # a loop of Flax's TrainState or nnx.Optimizer

None of these packages is imported: what is given only has to look like what they hand over. Numbers on the
device are not waited for. What a run has no place for (pictures, texts, histograms) is left out,
and said once.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Protocol

from gdlab.interchange.choosing import chosen
from gdlab.interchange.names import metric_name


class Records(Protocol):
    """What a `gdlab.Recorder` does, as far as it is needed here."""

    config: dict[str, Any]

    def write(self, step: int, seen: Any = None, /, **metrics: Any) -> None:
        """Records an iteration."""

    def close(self, state: str = "finished", reason: str | None = None) -> None:
        """Ends the run."""


class LeftOutWarning(UserWarning):
    """Something that a run has no place for was not recorded."""


class _Said:
    """Says of each kind once that it is left out."""

    def __init__(self):
        self._said: set[str] = set()

    def left_out(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            warnings.warn(
                f"{what} are not recorded: a run of gdlab keeps numbers", LeftOutWarning, stacklevel=3
            )


class MetricWriter:
    """As `clu.metric_writers.MetricWriter`; also within its `MultiWriter` and `AsyncWriter`.

    Args:
      recorder: of the run; it is closed by `close`.
      loss: the scalar that becomes the error of the run; None: the first that is called so, "train/loss".
    """

    def __init__(self, recorder: Records, loss: str | None = None):
        self._recorder, self._names, self._said = recorder, _Names(loss), _Said()

    def write_scalars(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Records numbers of a step."""
        self._recorder.write(step, **self._names.of(scalars))

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        """The hyper-parameters, before the first scalars; later ones are not recorded."""
        self._recorder.config.update(hparams)

    def write_summaries(self, step: int, values: Mapping[str, Any], metadata: Any = None) -> None:
        """Of tensors, single numbers are recorded."""
        del metadata
        numbers = {name: value for name, value in values.items() if _is_number(value)}
        if len(numbers) < len(values):
            self._said.left_out("tensors")
        if numbers:
            self.write_scalars(step, numbers)

    def write_images(self, step: int, images: Mapping[str, Any]) -> None:
        """Left out."""
        self._said.left_out("pictures")

    def write_videos(self, step: int, videos: Mapping[str, Any]) -> None:
        """Left out."""
        self._said.left_out("videos")

    def write_audios(self, step: int, audios: Mapping[str, Any], *, sample_rate: int) -> None:
        """Left out."""
        self._said.left_out("sounds")

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Left out."""
        self._said.left_out("texts")

    def write_histograms(
        self, step: int, arrays: Mapping[str, Any], num_buckets: Mapping[str, int] | None = None
    ) -> None:
        """Left out."""
        self._said.left_out("histograms")

    def write_pointcloud(self, step: int, *arguments: Any, **more: Any) -> None:
        """Left out."""
        self._said.left_out("point clouds")

    def flush(self) -> None:
        """Nothing waits here: the recorder commits by itself."""

    def close(self) -> None:
        """Ends the run."""
        self._recorder.close()


class LoggingBackend:
    """As `metrax.logging.LoggingBackend`, which is also a listener of `jax.monitoring`'s scalars.

    Args:
      recorder: of the run; it is closed by `close`.
      loss: the event that becomes the error of the run; None: the first that is called so, "train/loss".
    """

    def __init__(self, recorder: Records, loss: str | None = None):
        self._recorder, self._names = recorder, _Names(loss)

    def log_scalar(self, event: str, value: Any, **kwargs: Any) -> None:
        """Records one number; step: its iteration, 0 where none is given, as metrax's own backends do."""
        step = kwargs.get("step")
        self._recorder.write(0 if step is None else int(step), **self._names.of({event.lstrip("/"): value}))

    def close(self) -> None:
        """Ends the run."""
        self._recorder.close()


class Callback:
    """What a loop calls after each step, with what it has at hand; a context manager, as the recorder is.

        with Callback(gdlab.Recorder("runs/mine"), prefix="train") as callback:
            for batch in batches:
                state, metrics = train_step(state, batch)      # a TrainState of Flax
                callback(state, metrics)

    The iteration is `state.step` (of TrainState, nnx.Optimizer) minus one, since the state is that after the
    step; it is not waited for. Without a state, or with one that has no step, calls are counted. Where the
    optimizer was made by `gdlab.watch`, what it saw is found in `state.opt_state` and recorded.

    Args:
      recorder: of the run; it is closed by `close`, and by leaving the block.
      loss: the metric that becomes the error of the run; None: the first that is called so.
      prefix: before the names of metrics, "train" makes "train/accuracy"; the error has none.
      every: record every so many calls; what the others are given is not looked at.
    """

    def __init__(self, recorder: Records, *, loss: str | None = None, prefix: str = "", every: int = 1):
        if not (isinstance(every, int) and every > 0):
            raise ValueError(f"every={every!r}: a whole number above 0 is expected")
        self._recorder, self._names, self._prefix, self._every = recorder, _Names(loss), prefix, every
        self._count = 0
        self._watched: bool | None = None

    def __call__(self, state: Any = None, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """Records a step. state: after it, or None; metrics: {name: number}, or an object of nnx's or clu's
        metrics, whose `compute()` gives them; more: further numbers."""
        count, self._count = self._count, self._count + 1
        if count % self._every:
            return
        step = _step(state, count)
        given = {**_computed(metrics), **more}
        numbers = self._names.of(given)
        if self._prefix:
            numbers = {
                name if name == "loss" else f"{self._prefix}/{name}": value for name, value in numbers.items()
            }
        seen = self._seen(state)
        if seen is None:
            self._recorder.write(step, **numbers)
        else:
            self._recorder.write(step, seen, **numbers)

    def close(self, state: str = "finished", reason: str | None = None) -> None:
        """Ends the run."""
        self._recorder.close(state, reason)

    def __enter__(self):
        return self

    def __exit__(self, *exception: Any) -> None:
        leave: Any = self._recorder
        leave.__exit__(*exception)

    def _seen(self, state):
        """The part of a state where an Observation may lie, None where there is none."""
        opt_state = getattr(state, "opt_state", None)
        if opt_state is None or self._watched is False:
            return None
        if self._watched is None:
            self._watched = _holds_observation(opt_state)
        return opt_state if self._watched else None


def _step(state, count):
    """The iteration that a state has just done, which may still be computed; the count if it does not say."""
    step: Any = getattr(state, "step", None)
    step = step.get_value() if hasattr(step, "get_value") else step  # a variable of nnx
    known = isinstance(step, int) or (hasattr(step, "dtype") and getattr(step, "shape", None) == ())
    return step - 1 if known else count


class _Names:
    """Names of scalars as a run has them: "loss" for the error, the others made fit to be names of arrays."""

    def __init__(self, loss: str | None):
        self._loss = loss  # None until one is met that is called so

    def of(self, scalars: Mapping[str, Any]) -> dict[str, Any]:
        """{name: value} for `Recorder.write`."""
        if self._loss is None:
            self._loss = chosen(map(str, scalars)).loss
        return {self._name(str(name)): value for name, value in scalars.items()}

    def _name(self, name):
        if name == self._loss:
            return "loss"
        return "loss.value" if name == "loss" else metric_name(name)


def _computed(metrics):
    """A mapping of numbers in what a loop calls its metrics."""
    if metrics is None:
        return {}
    compute = getattr(metrics, "compute", None)
    found = compute() if callable(compute) and not isinstance(metrics, Mapping) else metrics
    if isinstance(found, Mapping):
        return {str(name): value for name, value in found.items()}
    return {"loss": found}


def _holds_observation(tree):
    """Whether something made by `gdlab.watch` lies in a state: told by its class, wherever it is."""
    todo, looked = [tree], 0
    while todo and looked < 100_000:
        node = todo.pop()
        looked += 1
        if type(node).__name__ in ("Observation", "WatchState"):
            return True
        value = getattr(node, "raw_value", None)
        if value is not None:
            todo.append(value)
        elif isinstance(node, Mapping):
            todo += node.values()
        elif isinstance(node, (tuple, list)):
            todo += node
        elif hasattr(node, "__dataclass_fields__"):
            todo += [getattr(node, name, None) for name in node.__dataclass_fields__]
    return False


def _is_number(value):
    shape = getattr(value, "shape", None)
    return isinstance(value, (int, float)) or (shape is not None and all(size == 1 for size in shape))
