"""What a network looks for: the kernels of its layers at any iteration.

Source: Kuchta 2023, chapter 4 (filters of the convolutions).
"""

import jax
import numpy as np

from gdlab.monitors.evaluation import at_iteration
from gdlab.records import Table
from gdlab.training.collection import layers_of


def compute(replay, *, iteration=None, progress):
    """Kernels of the convolutions and weights of the dense layers of theta_k.

    Args:
      replay: a gdlab Replay.
      iteration: k, 0 to K; None: the last.
      progress: (fraction, text) -> None.

    Returns:
      A Table with one column per layer that has a kernel, by its name: [rows, columns, inputs, filters]
      of a convolution, [inputs, units] of a dense layer. attrs: iteration, layers (their names in order).

    Raises:
      ValueError: no layer has a kernel, or the iteration is not recorded.
    """
    iteration = at_iteration(replay, iteration)
    progress(0.0, f"filters at iteration {iteration:,}")
    params = replay.params(iteration)
    columns: dict[str, np.ndarray] = {}
    dims: dict[str, tuple[str, ...]] = {}
    for layer, leaf in zip(layers_of(params), jax.tree.leaves(params), strict=True):
        if np.ndim(leaf) == 4:
            columns[layer], dims[layer] = np.asarray(leaf), ("row", "column", "input", "filter")
        elif np.ndim(leaf) == 2:
            columns[layer], dims[layer] = np.asarray(leaf), ("input", "unit")
    if not columns:
        raise ValueError("no layer of this run's model has a kernel to show")
    return Table(columns, dims, {"iteration": iteration, "layers": list(columns)})
