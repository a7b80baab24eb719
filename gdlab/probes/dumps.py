"""Finer dumps: every iteration, or every few, of an interval that the training dumped more coarsely.

The interval is trained again, bit for bit, from the nearest checkpoint; what a dump says is computed by the
functions that the recorder uses. Asked for by the users of DeepTracker (Liu et al. 2018, section 9).
"""

import jax
import numpy as np

from gdlab.monitors.dumps import Moment
from gdlab.plan.builder import ConfigError
from gdlab.plan.monitoring import make_dumper
from gdlab.records import Table
from gdlab.store.effects import is_of_recorder

MOST = 2000  # dumps of one question


def compute(replay, *, start, stop, every=1, progress):
    """Dumps of the iterations start, start + every, ... < stop.

    Args:
      replay: a gdlab Replay of a run whose problem predicts classes; it need not have dumps itself.
      start, stop: iterations, 0 <= start < stop <= K.
      every: iterations between two dumps, at least 1.
      progress: (fraction, text) -> None.

    Returns:
      A Table with the arrays of a run folder's dumps, "dump/..." (see gdlab.analysis.dumps), [D, ...] each;
      changes are counted from the dump before, in the first one from nothing (NaN). attrs: start, stop,
      every, nodes and edges of the network, replay (compared, different, largest, changed).

    Raises:
      ValueError: the interval is not recorded, too many dumps, the problem predicts no classes, or the run
        is of a loop that a Recorder looked at.
    """
    last = replay.run.rows("scalars")
    for name, value, low, high in (("start", start, 0, last - 1), ("stop", stop, start + 1, last)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name}={value!r}: allowed: {low:,} to {high:,}")
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise ValueError(f"every={every!r}: allowed: an integer >= 1")
    if -(-(stop - start) // every) > MOST:
        raise ValueError(f"every={every}: this makes more than {MOST:,} dumps; ask for a larger interval")
    taker = replay.memo("dumps", lambda: _dumper(replay))
    taker.previous = None
    rows: dict[str, list] = {}
    for step in replay.steps(start, stop, progress):
        if (step.iteration - start) % every:
            continue
        progress((step.iteration - start) / (stop - start), f"dump of iteration {step.iteration:,}")
        after = _moved(step)
        moment = Moment(
            step.iteration, step.params, after, replay.batch(step.iteration), replay.key(step.iteration)
        )
        for name, row in taker.take(moment).items():
            rows.setdefault(name, []).append(row)
    columns = {name: np.concatenate(parts) for name, parts in (rows | _listed(taker.constants())).items()}
    dims: dict[str, tuple[str, ...]] = {name: (f"{name} row", f"{name} column") for name in columns}
    report = replay.report()._asdict()
    attrs = {"start": start, "stop": stop, "every": every, "network": taker.network, "replay": report}
    return Table(columns, dims, attrs)


def _dumper(replay):
    if is_of_recorder(replay.run.config):
        raise ValueError(
            "this run was recorded from a loop of its own, which is dumped as often as Recorder(every=) "
            "says; finer dumps are there for trainings by gdlab"
        )
    try:
        return make_dumper(replay.assembly)
    except ConfigError as error:
        raise ValueError("this run's problem predicts no classes: there is nothing to dump") from error


def _moved(step):
    """theta_{k+1}."""
    return jax.tree.map(lambda theta, update: theta + update, step.params, step.updates)


def _listed(rows):
    return {name: [row] for name, row in rows.items()}
