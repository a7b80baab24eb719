"""The words that every part of gdlab shares: what a step, a line search and a table are.

Everything here is a plain NamedTuple. JAX treats it as a pytree, NumPy as a tuple, so the same
record leaves the compiled loop, goes to disk and reaches a view without being translated.
Nothing here imports JAX or touches a file.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Status of one iteration. `IDLE` marks iterations that do nothing because the descent they belong
# to has already ended (mini-batch training goes on with the next descent).
OK, CONVERGED, LINE_SEARCH_FAILED, DIVERGED, IDLE = range(5)
STATUS = ("ok", "converged", "line_search_failed", "diverged", "idle")

# Phase of the line search in which an evaluation's proposal was made; 0 pads unused rows.
PHASES = ("none", "extrapolate", "shrink")
EXTRAPOLATE, SHRINK = 1, 2

# How the next step width was proposed.
KINDS = ("none", "cubic", "quadratic", "bisect")
NO_FIT, CUBIC, QUADRATIC, BISECT = range(4)


class Measures(NamedTuple):
    """What a problem without classes is judged by on examples that it is not trained on.

    means(params, batch) -> {name: ()}, each the mean over the examples of a batch; told({name: float}) ->
    {name: float}, what is recorded of the means over all examples: "loss" is the error, "accuracy" a share
    of right answers, others have any name. block: examples that are evaluated at once.
    """

    means: Callable
    told: Callable
    block: int = 1000


class Problem(NamedTuple):
    """What is minimised: an error function over any pytree of parameters.

    init(key) -> params; loss(params, batch, *, key=None) -> ();
    predict(params, x[B, ...], statistics=None) -> [B, C];
    activations(params, x[B, ...], statistics=None) -> {layer: [B, ...]}. `optimum` is the known minimum
    of the loss, `optimal_params` a minimiser, `source` the publication; all three None where unknown.
    statistics(params, x[B, ...]) -> pytree: what batch normalisation measures on x, None for networks
    without it. No statistics are carried along: the parameters alone determine every result.
    additive: whether the error of many examples is the mean of their errors, so that it may be taken in
    blocks (of a network with batch normalisation, up to the statistics of the blocks).
    data_loss: as loss, without what depends on the parameters alone, a weight decay; None: loss is that.
    terms(params, batch, *, key=None) -> {name: ()}: what the error is made of, recorded at every iteration
    as metric/NAME; None: it has no parts.
    measures: by what it is validated; None: by its classes where it predicts some, else not at all.
    """

    init: Callable
    loss: Callable
    predict: Callable | None = None
    activations: Callable | None = None
    optimum: float | None = None
    optimal_params: Any = None
    source: str | None = None
    statistics: Callable | None = None
    additive: bool = False
    data_loss: Callable | None = None
    terms: Callable | None = None
    measures: Measures | None = None


# One row of a trace: an evaluated step width and what was proposed from it.
TRACE_COLUMNS = (
    "search", "phase", "eta", "phi", "dphi", "kind", "anchor_a", "anchor_b",
    "c0", "c1", "c2", "c3", "minimiser", "lower", "upper", "next_eta", "accepted",
)  # fmt: skip


class LineSearchTrace(NamedTuple):
    """Every evaluation of one line search, in order; `rows` [..., 2 x max_evaluations, 17], padded.

    Row j holds the evaluated step width `eta` with `phi` and slope `dphi` there, and what was
    proposed from it: the phase, the kind of fit, its two anchors (step widths), the polynomial's
    `coefficients` [..., 4] in powers of u = (eta - anchor_a) / (anchor_b - anchor_a), its unconstrained
    `minimiser` as a step width (NaN: none), the allowed interval [lower, upper] and `next_eta`. The
    accepted row proposes nothing.
    `search` is 0, or 1 for the rows of the search repeated along -g. `evaluations` [...] counts the
    rows in use; the values at step width 0 are not a row, they are known before the search.
    Each column of `TRACE_COLUMNS` is an attribute with the shape of `rows` without its last axis.
    """

    rows: Any

    @property
    def evaluations(self) -> Any:
        """How many rows are in use: () or one per search."""
        return (self.phase > 0).sum(-1)

    @property
    def coefficients(self) -> Any:
        """Of the polynomials, [., 4] in powers of u = (eta - anchor_a) / (anchor_b - anchor_a)."""
        return self.rows[..., TRACE_COLUMNS.index("c0") : TRACE_COLUMNS.index("c3") + 1]

    def __getattr__(self, name):
        if name in TRACE_COLUMNS:
            return self.rows[..., TRACE_COLUMNS.index(name)]
        raise AttributeError(f"'LineSearchTrace' has no column '{name}'; it has {', '.join(TRACE_COLUMNS)}")


class StepInfo(NamedTuple):
    """What one iteration leaves behind; () each, [T] after a chunk, [M, T] for M runs side by side.

    loss        J(theta_k) on the batch of iteration k
    loss_end    J(theta_{k+1}) on the same batch; where the batch changes a dot has two values
    grad_norm   |g_k|;  update_norm |theta_{k+1} - theta_k|;  slope g_k . d_k (negative downhill)
    step_size   eta_k;  step_size_max the largest step width visited
    line_search the search's LineSearchTrace, or None where no trace is kept
    """

    loss: Any
    loss_end: Any
    grad_norm: Any
    update_norm: Any
    slope: Any
    step_size: Any
    step_size_max: Any
    restarted: Any
    new_descent: Any
    status: Any
    evaluations: Any
    line_search: Any


# Columns of the "steps" table as stored, one row per iteration, float64.
STEP_COLUMNS = (
    "loss", "loss_end", "grad_norm", "update_norm", "slope", "step_size", "step_size_max",
    "restarted", "new_descent", "status", "evaluations", "descent", "epoch", "seconds",
)  # fmt: skip

# Columns of a dump's scalars; loss and accuracy on the validation images whose labels are dumped.
DUMP_COLUMNS = ("iteration", "learning_rate", "loss", "accuracy", "train_loss", "train_accuracy")
# Statistics of the weights, of the data's gradients (on the batch of the iteration) and of the movement of
# every layer and filter: the update of the iteration, and the change since the dump before (its length, and
# how far the direction turned: 1 - cosine similarity).
DISTRIBUTION = ("mean", "std", "min", "q1", "median", "q3", "max")
DUMP_STATISTICS = (
    *(f"{kind}_{name}" for kind in ("weight", "gradient") for name in DISTRIBUTION),
    *("update_norm", "change_norm", "cosine_distance"),
)


class Table(NamedTuple):
    """What analyses return and views draw: named arrays, the names of their dimensions, and facts."""

    columns: dict[str, np.ndarray]
    dims: dict[str, tuple[str, ...]]
    attrs: dict
