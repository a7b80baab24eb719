"""Segments of the enhanced error curve: the error along every descent direction.

c_k(xi) = J(theta_k + (xi - k) (theta_{k+1} - theta_k)) for xi from k to k + eta_max / eta. Iterations
are replayed, so the direction is the one that was taken, and each segment is sampled at fixed
offsets xi - k: densely up to 2, geometrically beyond. The same offsets hold the noise indicator.

Source: Becker, Lippel, Zielke 2019, eq. 8; its remark in section 2.1 that segments below the machine
precision show numerical noise.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from gdlab import store
from gdlab.records import Table

DENSE = 17  # samples on [0, 1] and again on [1, 2]
BEYOND = 24  # samples beyond 2
SAMPLES = 2 * DENSE - 1 + BEYOND
VISITED = 16  # recorded evaluations per iteration that are recomputed for comparison
RECORDED = VISITED + 2  # and both ends
PERTURBATIONS = 8
NOISE_THRESHOLD = 1.0  # noise as large as what the segment shows
FLUSH_SECONDS = 0.5


def compute(replay, *, start, stop, on="batch", progress):
    """Segments of the iterations [start, stop).

    Args:
      replay: a gdlab Replay.
      start, stop: iterations, 0 <= start < stop; cut to what is recorded.
      on: "batch", the batch the step was computed on, or "train", the whole training set.
      progress: (fraction, text) -> None.

    Returns:
      A Table: iteration [t]; offset, value [t, 57] (xi - k and c_k, NaN-padded; a step of length 0 has
      none, nor one that a recorded loop has not kept); noise [t], the spread of J under perturbations of
      theta by one unit in the last place over the variation of the segment between k and k + 1; noisy [t],
      noise >= attrs["threshold"]; difference [t], the largest |recomputed - recorded| at recorded points (NaN
      for on="train"). attrs also hold max_difference, the replay's report, and foreign, how many of them came
      with the folder, not computed by this user (`store.Derived.foreign`).

    Raises:
      ValueError: `on` is neither of the two, or start and stop are not iterations.
    """
    check_on(on)
    start, stop = interval(replay, start, stop)
    cache = _cache(replay.run, on)
    sampler = replay.memo("segments", lambda: _Sampler(replay))
    with Pending(cache) as pending:
        for first, last in _gaps(np.asarray(cache.done(start, stop)), start):
            for step in replay.steps(first, last, progress):
                progress((step.iteration - start) / (stop - start), f"segment {step.iteration:,}")
                pending.add(step.iteration, sampler.row(step, on))
    columns = cache.read(start, stop)
    for array in columns.values():  # of iterations that cannot be had
        array[~np.asarray(cache.done(start, stop), bool)] = np.nan
    columns = {"iteration": np.arange(start, stop), **columns, "noisy": columns["noise"] >= NOISE_THRESHOLD}
    finite = columns["difference"][np.isfinite(columns["difference"])]
    attrs = {
        "threshold": NOISE_THRESHOLD,
        "max_difference": float(finite.max()) if len(finite) else 0.0,
        "replay": replay.report()._asdict(),
        "foreign": cache.foreign(start, stop),
    }
    dims = {name: ("iteration", "sample")[: array.ndim] for name, array in columns.items()}
    return Table(columns, dims, attrs)


def offsets(ratio):
    """Sample offsets xi - k [57] of a segment that reaches to k + ratio, NaN-padded.

    0 and 1 are always among them; ratio = eta_max / eta >= 1, NaN or 0 gives no samples.
    """
    if not np.isfinite(ratio) or ratio <= 0:
        return np.full(SAMPLES, np.nan)
    ratio = max(ratio, 1.0)
    parts = [np.linspace(0, 1, DENSE)]
    if ratio > 1:
        parts.append(np.linspace(1, min(ratio, 2.0), DENSE)[1:])
    if ratio > 2:
        parts.append(np.geomspace(2, ratio, BEYOND + 1)[1:])
    joined = np.unique(np.concatenate(parts))
    return np.concatenate([joined, np.full(SAMPLES - len(joined), np.nan)])


def check_on(on):
    """Raise ValueError unless `on` names what an error is taken on."""
    if on not in ("batch", "train"):
        raise ValueError(f"on={on!r}: allowed: batch, train")


def interval(replay, start, stop):
    """The iterations [start, stop) cut to what is recorded; ValueError where they are not iterations."""
    for name, value in (("start", start), ("stop", stop)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise ValueError(f"{name}={value!r}: allowed: an iteration, an integer >= 0")
    if stop <= start:
        raise ValueError(f"start={start}, stop={stop}: no iterations; stop must be above start")
    recorded = replay.run.rows("scalars")
    return min(start, recorded), min(stop, recorded)


class Pending:
    """Rows on their way to a cache, written in groups: every write waits for the disk.

    A context manager; what was computed is kept also where the computation is cancelled.
    """

    def __init__(self, cache):
        self.cache, self.rows, self.first = cache, [], 0
        self.written = time.monotonic()

    def add(self, iteration, row):
        """Keep {name: value} as the cache's row of an iteration."""
        if self.rows and iteration != self.first + len(self.rows):
            self.flush()
        if not self.rows:
            self.first = iteration
        self.rows.append(row)
        if time.monotonic() - self.written > FLUSH_SECONDS:
            self.flush()

    def flush(self):
        """Write what is pending."""
        rows, self.rows = self.rows, []
        if rows:
            self.cache.write(self.first, {name: np.stack([row[name] for row in rows]) for name in rows[0]})
        self.written = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.flush()


class _Sampler:
    """Evaluates one iteration's segment; compiled once per run."""

    def __init__(self, replay):
        self.replay = replay
        problem = replay.assembly.problem

        @jax.jit
        def along(params, updates, where, count, batch, key):
            # One after the other: on a CPU many parameter vectors side by side are ten times slower,
            # and a segment without a loose end needs few of the points.
            def at(number, values):
                offset = where[number]
                point = jax.tree.map(lambda p, u: p + offset.astype(p.dtype) * u, params, updates)
                return values.at[number].set(problem.loss(point, batch, key=key).astype(values.dtype))

            return jax.lax.fori_loop(0, count, at, jnp.full(where.shape, jnp.nan, where.dtype))

        @jax.jit
        def perturbed(params, updates, batch, key):
            nudges = jax.random.split(jax.random.key(0), PERTURBATIONS)

            def spread(offset):
                moved = jax.tree.map(lambda p, u: p + jnp.asarray(offset, p.dtype) * u, params, updates)
                values = jax.lax.map(lambda k: problem.loss(_nudge(k, moved), batch, key=key), nudges)
                return jnp.max(values) - jnp.min(values)

            return jnp.max(jnp.stack([spread(0.0), spread(0.5), spread(1.0)]))

        self.along, self.perturbed = along, perturbed

    def row(self, step, on):
        """The cache's row of a replayed Step: offset, value, noise, difference."""
        recorded = self.replay.run.array("scalars", step.iteration, step.iteration + 1)[0]
        scalar = dict(zip(self.replay.columns, recorded.tolist(), strict=True))
        eta = scalar["step_size"]
        where = offsets(scalar["step_size_max"] / eta if eta > 0 else np.nan)
        if np.isnan(where[0]):
            return {"offset": where, "value": where, "noise": np.nan, "difference": np.nan}
        batch = self.replay.batch(step.iteration) if on == "batch" else self.replay.assembly.data
        key = self.replay.key(step.iteration)
        visited, known = self._recorded(step.iteration, scalar)
        samples = int(np.isfinite(where).sum())
        value = np.full(SAMPLES, np.nan)
        values = self._along(step, np.concatenate([where[:samples], visited]), batch, key)
        value[:samples] = values[:samples]
        inside = value[where <= 1]
        variation = np.nanmax(inside) - np.nanmin(inside) if np.isfinite(inside).any() else np.nan
        spread = float(self.perturbed(step.params, step.updates, batch, key))
        difference = np.nan
        if on == "batch":
            # Equal infinities are no difference; fmax passes over what is not known.
            with np.errstate(invalid="ignore"):
                gap = np.where(values[samples:] == known, 0.0, np.abs(values[samples:] - known))
            difference = float(np.fmax.reduce(gap))
        noise = np.inf if variation == 0 else spread / variation
        return {"offset": where, "value": value, "noise": noise, "difference": difference}

    def _along(self, step, asked, batch, key):
        """J at the offsets asked for, [n] float64; the compiled program has room for all there may be."""
        room = np.zeros(SAMPLES + RECORDED)
        room[: len(asked)] = asked
        dtype = jax.tree.leaves(step.params)[0].dtype
        values = self.along(step.params, step.updates, jnp.asarray(room, dtype), len(asked), batch, key)
        return np.asarray(values, np.float64)[: len(asked)]

    def _recorded(self, iteration, scalar):
        """Offsets and errors of recorded points [n <= RECORDED]: both ends, visited step widths."""
        trace = self.replay.run.table("evaluations", iteration, iteration + 1).columns
        last = trace["search"] == trace["search"].max(initial=0)
        eta, phi = trace["eta"][last][-VISITED:], trace["phi"][last][-VISITED:]
        visited = np.concatenate([[0.0, 1.0], eta / scalar["step_size"]])
        return visited, np.concatenate([[scalar["loss"], scalar.get("loss_end", np.nan)], phi])


def _nudge(key, params):
    """Every parameter moved by one unit in the last place, up or down at random."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    moved = []
    for leaf, leaf_key in zip(leaves, keys, strict=True):
        up = jax.random.bernoulli(leaf_key, shape=leaf.shape)
        moved.append(jnp.nextafter(leaf, jnp.where(up, jnp.inf, -jnp.inf).astype(leaf.dtype)))
    return jax.tree.unflatten(structure, moved)


def _cache(run, on):
    wide = store.ArraySpec(dtype="f8", row_shape=(SAMPLES,))
    single = store.ArraySpec(dtype="f8", row_shape=())
    arrays = {"offset": wide, "value": wide, "noise": single, "difference": single}
    options = {"on": on, "samples": SAMPLES}
    return store.Derived(run, "segments", options, rows=run.rows("scalars"), arrays=arrays, version="2")


def _gaps(done, start):
    """Intervals [first, last) of iterations that are not done, shifted by `start`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], done, [True]]).astype(int)))
    return [
        (start + int(first), start + int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)
    ]
