"""The two-phase line search: step forward until the minimum is bracketed, then shrink the bracket.

Phase one (extrapolate) walks away from 0 along cubic interpolants. As soon as the slope turns
positive, the error fails to decrease or a value is not finite, the minimum lies between 0 and the
current step width, and phase two (shrink) closes in on it. Both phases are one loop: a phase only
decides which two anchors are interpolated and which interval the next step width must lie in.

Version 1 is the paper's rule to the letter: phase one takes the cubic's minimiser wherever it lies, down to
alpha eta^j. That walks back to 0 where a step is too short for the digits of the error: phi(eta^j) rounds to
phi(0), the slopes still fall, and the cubic through both has its minimum at 0.21 eta^j. Phase one may also go
to and fro between two step widths until its evaluations are gone. So in version 2 phase one never walks back
where the slope still falls and the error has not risen (phi'(eta^j) < 0, phi(eta^j) <= phi(0)): a minimiser
before eta^j is none, the upper bound is taken, and the allowed interval is [eta^j, beta eta^j]. The paper's
own picture of phase one, which extrapolates, knows nothing else.

Near a minimum the differences of phi drown in its round-off long before its slopes do: the former are of
the order of eta^2, the latter of eta. With `epsilon` the search then believes the slopes (the approximate
Wolfe conditions): a value up to phi(0) + epsilon |phi(0)| counts as not risen, a step there is accepted by
its slope alone, and between values that differ by less the interpolant is the parabola through both slopes.

The search sees only `phi(eta) -> (value, slope)`. Everything it visits goes into a trace.
Source: Becker, Lippel, Zielke 2019, section 2.3 and Table 2; approximate Wolfe conditions: Hager and Zhang
2005, section 3, eq. 4.1.
"""

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from gdlab.linesearch.options import check_options, first_step
from gdlab.linesearch.proposal import propose
from gdlab.records import (
    BISECT,
    EXTRAPOLATE,
    NO_FIT,
    SHRINK,
    TRACE_COLUMNS,
    LineSearchTrace,
)


class Point(NamedTuple):
    """A visited step width: eta, phi(eta), phi'(eta)."""

    eta: Any
    phi: Any
    dphi: Any


class SearchResult(NamedTuple):
    """What a line search found; all () unless said.

    step_size      eta_k; 0 where the search failed
    phi, dphi      value and slope there
    aux            what `phi` handed out there (its third value), None without `has_aux`
    accepted       True: both conditions hold at `step_size`. False with step_size > 0: the search
                   ran out of evaluations and the best point seen lies below phi(0)
    step_size_max  largest step width visited
    evaluations    int32, how often `phi` was called
    line_search    LineSearchTrace with rows [max_evaluations, columns], None without `keep_trace`
    """

    step_size: Any
    phi: Any
    dphi: Any
    aux: Any
    accepted: Any
    step_size_max: Any
    evaluations: Any
    line_search: LineSearchTrace | None


class _Search(NamedTuple):
    evaluations: Any
    phase: Any
    eta: Any
    a: Point
    b: Point
    best: Point
    aux: Any
    accepted: Any
    step_size_max: Any
    rows: Any


def two_phase(
    phi: Callable,
    value: ArrayLike | None = None,
    slope: ArrayLike | None = None,
    *,
    sigma: float = 0.05,
    rho: float = 0.0,
    alpha: float = 0.1,
    beta: float = 3.0,
    gamma: float = 0.1,
    max_evaluations: int = 25,
    initial: float | str = "inverse_norm",
    squared_norm: ArrayLike | None = None,
    previous: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    aux: Any = None,
    has_aux: bool = False,
    keep_trace: bool = True,
    version: int = 2,
    epsilon: float = 0.0,
) -> SearchResult:
    """Seek the smallest stationary point of phi: min{eta > 0 : phi'(eta) = 0}.

    eta^j is accepted when |phi'(eta^j)| <= sigma |phi'(0)|, phi(eta^j) < phi(0) and
    phi(eta^j) <= phi(0) + rho eta^j phi'(0); with `epsilon` also when, instead of the last two,
    phi(eta^j) <= phi(0) + epsilon |phi(0)| and phi'(eta^j) <= (2 rho - 1) phi'(0).

    Args:
      phi: eta () -> (value (), slope ()), or (value, slope, aux) with `has_aux`.
      value, slope: phi(0) and phi'(0) where they are known; evaluated otherwise. slope < 0.
      sigma: curvature tolerance, 0 <= rho < sigma < 1.
      rho: share of the linear decrease demanded; 0 asks for any decrease.
      alpha, beta: phase one keeps the next step in [alpha eta, beta eta], 0 < alpha < 1 < beta; in version 2
        in [eta, beta eta] while the slope falls, so that alpha counts where phi'(eta) = 0 alone.
      gamma: phase two keeps gamma (b - a) away from both ends, 0 < gamma < 1/2.
      max_evaluations: at most this many calls of `phi`, at least 1.
      initial: the first step width: a number > 0; or "inverse_norm", 1 / (1 + |d|^2) (eq. 9 of the paper); or
        "previous", the step width that promises the same first-order decrease as the last one,
        eta_before slope_before / slope (Nocedal and Wright 2006, p. 59), at first "inverse_norm"; or
        "previous_length", a step as long as the last one, |eta d| = |eta_before d_before|, at first a step
        of length 1, or eta = 1 where |d| < 1.
      squared_norm: |d|^2, needed where `initial` is a name.
      previous: (step width, slope at 0, length of the step) of the search before; a step width of 0
        means none.
      aux: with `has_aux`, what belongs to eta = 0 (it fixes the structure and is kept on failure).
      has_aux: whether `phi` returns a third value, handed out for the step found.
      keep_trace: record every evaluation.
      version: 2, or 1: phase one may walk back where the slope still falls, as in runs of before.
      epsilon: share of |phi(0)| that counts as round-off, 0 <= epsilon < 1; 0: every digit counts, and the
        error falls at every step. With more it may rise by so much.

    Returns:
      A SearchResult. Works under jit, vmap and scan, in float32 and float64.

    Raises:
      ValueError: an option outside its range, named with its value and the allowed range.
    """
    check_options(sigma, rho, alpha, beta, gamma, max_evaluations, version, epsilon)
    call = phi if has_aux else lambda eta: (*phi(eta), None)
    if value is None or slope is None:
        like = squared_norm if isinstance(initial, str) else initial
        value, slope, aux = call(jnp.zeros((), jnp.result_type(0.0 if like is None else like, float)))
    value = jnp.asarray(value)
    slope = jnp.asarray(slope, value.dtype)
    start = Point(jnp.zeros_like(value), value, slope)
    eta = jnp.asarray(first_step(initial, slope, squared_norm, previous), value.dtype)
    # None keeps the program, and with it the bits, of searches that know no round-off.
    exact = isinstance(epsilon, numbers.Real) and epsilon == 0
    noise = None if exact else jnp.asarray(epsilon, value.dtype) * jnp.abs(value)

    def step(search):
        return _step(search, call, start, rho, sigma, (alpha, beta, gamma), noise, onward=version > 1)

    rows = jnp.zeros((max_evaluations, len(TRACE_COLUMNS)), value.dtype) if keep_trace else None
    search = _Search(
        evaluations=jnp.int32(0),
        phase=jnp.int32(EXTRAPOLATE),
        eta=eta,
        a=start,
        b=start,
        best=start,
        aux=aux,
        accepted=jnp.bool_(False),
        step_size_max=jnp.zeros_like(value),
        rows=rows,
    )
    search = jax.lax.while_loop(lambda s: ~s.accepted & (s.evaluations < max_evaluations), step, search)
    best = search.best
    return SearchResult(
        step_size=best.eta,
        phi=best.phi,
        dphi=best.dphi,
        aux=search.aux,
        accepted=search.accepted,
        step_size_max=search.step_size_max,
        evaluations=search.evaluations,
        line_search=LineSearchTrace(search.rows) if keep_trace else None,
    )


def _step(search, call, start, rho, sigma, limits, noise, *, onward):
    """Evaluate the proposed step width, judge it, and propose the next one.

    noise: how far values may differ by round-off, None where every digit counts; `onward` as of `propose`.
    """
    phi, dphi, aux = call(search.eta)
    dtype = start.phi.dtype
    current = Point(search.eta, jnp.asarray(phi, dtype), jnp.asarray(dphi, dtype))
    finite = jnp.isfinite(current.phi) & jnp.isfinite(current.dphi)
    decreased = current.phi <= start.phi + rho * current.eta * start.dphi
    lower = decreased & (current.phi < start.phi)
    if noise is not None:
        level = current.phi <= start.phi + noise
        lower = lower | (level & (current.dphi <= (2 * rho - 1) * start.dphi))
        decreased = decreased | level
    accepted = finite & lower & (jnp.abs(current.dphi) <= sigma * jnp.abs(start.dphi))
    # Written as "not low enough" so that NaN counts as beyond the minimum.
    beyond = ~finite | (current.dphi > 0) | ~decreased
    shrinking = (search.phase == SHRINK) | beyond

    # Phase one interpolates between 0 and the current step width; phase two inside its bracket.
    a = _select(shrinking & ~beyond, current, search.a)
    b = _select(~shrinking | beyond, current, search.b)
    fit = propose(a, b, current, start, shrinking, limits, noise, onward=onward)
    taken = accepted | (finite & (current.phi < search.best.phi))
    step_size_max = jnp.maximum(search.step_size_max, current.eta)
    rows = search.rows
    if rows is not None:
        row = _row(current, a, b, fit, shrinking, search.phase, accepted)
        rows = jax.lax.dynamic_update_index_in_dim(rows, row.astype(rows.dtype), search.evaluations, 0)
    return _Search(
        evaluations=search.evaluations + 1,
        phase=jnp.where(shrinking, SHRINK, EXTRAPOLATE).astype(jnp.int32),
        eta=fit.eta,
        a=a,
        b=b,
        best=_select(taken, current, search.best),
        aux=_select(taken, aux, search.aux),
        accepted=accepted,
        step_size_max=step_size_max,
        rows=rows,
    )


def _row(current, a, b, fit, shrinking, phase, accepted):
    """One trace row in the order of TRACE_COLUMNS; an accepted evaluation proposes nothing."""
    nothing = jnp.full_like(current.eta, jnp.nan)
    proposal = (a.eta, b.eta, *fit.coefficients, fit.minimiser, fit.lower, fit.upper, fit.eta)
    bisect = fit.kind == BISECT
    kept = [jnp.where(accepted, nothing, v) for v in proposal]
    # A bisection has no polynomial: whatever the fit gave is not to be drawn.
    kept[2:7] = [jnp.where(bisect, nothing, v) for v in kept[2:7]]
    phase = jnp.where(accepted, phase, jnp.where(shrinking, SHRINK, EXTRAPOLATE))
    kind = jnp.where(accepted, NO_FIT, fit.kind)
    head = (0, phase, current.eta, current.phi, current.dphi, kind)
    return jnp.stack([jnp.asarray(v, current.eta.dtype) for v in (*head, *kept, accepted)])


def _select(condition, x, y):
    return jax.tree.map(lambda u, v: jnp.where(condition, u, v), x, y)
