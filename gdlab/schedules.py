"""Learning rates that change: what a config's `schedule` makes of the optimizer's learning rate.

Each function takes the learning rate and the number of iterations of the run and returns a function
of the iteration, as optax has them. `from_run` reads an earlier run, so it stands here and not among
the optimizers, which know no run folder.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gdlab import store
from gdlab.analysis.step_sizes import moving_average


def constant(*, learning_rate):
    """The learning rate as it is, k -> ()."""
    return optax.constant_schedule(learning_rate)


def cosine(*, learning_rate, steps, final=0.0):
    """Half a cosine from learning_rate down to final * learning_rate at iteration `steps`.

    Raises ValueError for a share `final` outside [0, 1]. Source: Loshchilov and Hutter 2016, eq. 5.
    """
    _share("final", final)
    return optax.cosine_decay_schedule(learning_rate, steps, alpha=final)


def exponential(*, learning_rate, steps, final=0.01):
    """The same factor in every iteration, final * learning_rate at iteration `steps`.

    Raises ValueError for a share `final` outside (0, 1].
    """
    _share("final", final, zero=False)
    return optax.exponential_decay(learning_rate, steps, final)


def piecewise(*, learning_rate, steps, boundaries=(0.5, 0.75), factor=0.1):
    """Constant in stages: multiplied by `factor` from iteration boundary * steps on, for each boundary.

    Raises ValueError for boundaries that are not ascending shares in (0, 1), or a factor that is not > 0.
    """
    for boundary in boundaries:
        _share("boundaries", boundary, zero=False)
    if list(boundaries) != sorted(set(boundaries)):
        raise ValueError(f"boundaries={list(boundaries)!r}: allowed: ascending shares of the run")
    if not factor > 0:
        raise ValueError(f"factor={factor!r}: allowed: factor > 0")
    scales: dict[int, float] = {}
    for boundary in boundaries:
        at = round(boundary * steps)  # in a short run two boundaries may fall together
        scales[at] = scales.get(at, 1.0) * factor
    return optax.piecewise_constant_schedule(learning_rate, scales)


def warmup_cosine(*, learning_rate, steps, warmup=0.1, final=0.0):
    """A straight line from 0 to learning_rate over warmup * steps iterations, then half a cosine.

    It ends at final * learning_rate. Raises ValueError for shares outside [0, 1].
    """
    _share("warmup", warmup)
    _share("final", final)
    length = min(round(warmup * steps), steps - 1)
    # As optax has it, to the bit, which divides the end by the peak; of a traced rate that is not known.
    traced = isinstance(learning_rate, jax.Array)
    share = final if traced else final * learning_rate / learning_rate if learning_rate else 0.0
    rise = optax.linear_schedule(0.0 if length else learning_rate, learning_rate, length)
    fall = optax.cosine_decay_schedule(learning_rate, steps - length, alpha=share)
    return optax.join_schedules([rise, fall], [length])


def from_run(*, learning_rate, path, window=51):
    """learning_rate * s_k / mean(s), s the smoothed step sizes |theta_{k+1} - theta_k| of an earlier run.

    Args:
      learning_rate: lr_0, the mean of the schedule over the iterations of the earlier run.
      path: folder of the earlier run, relative to the working directory.
      window: iterations that each recorded step size is averaged over (centred; fewer at both ends), >= 1.

    Returns:
      k -> (); after the last recorded iteration its last value holds.

    Raises:
      FileNotFoundError: there is no run; gdlab.store.StoreError: it cannot be read; ValueError: it has no
        step to be shaped by, or the window is not an integer >= 1.

    Source: Kuchta 2023, the learning-rate experiment.
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 1:
        raise ValueError(f"window={window!r}: allowed: an integer >= 1")
    if path is None:
        raise ValueError("schedule.path=None: give the folder of an earlier run")
    if not Path(path).exists():
        raise FileNotFoundError(
            f"schedule.path={str(path)!r}: there is no such run; the path counts from {Path.cwd()}"
        )
    recorded = store.open_run(path).table("steps", columns=["update_norm"]).columns["update_norm"][:-1]
    sizes = moving_average(recorded, window)
    sizes = sizes[np.isfinite(sizes)]
    if not sizes.size or not sizes.mean() > 0:
        raise ValueError(
            f"schedule.path={str(path)!r}: the run has no steps that a learning rate could follow"
        )
    rates = jnp.asarray(learning_rate * sizes / sizes.mean())
    return lambda count: rates[jnp.minimum(count, len(rates) - 1)]


def _share(name, value, *, zero=True):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1 or not (value or zero):
        raise ValueError(f"{name}={value!r}: allowed: a share {'0 <=' if zero else '0 <'} {name} <= 1")
