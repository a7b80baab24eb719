"""A run carries its own functions: loss, predict, activations and step of a training as portable StableHLO.

`write_functions` puts them into a run folder, `open_functions` makes them functions again on any machine,
without the code that they came from. They are over flat arrays whose places are data, with derivatives of
second order.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gdlab.exported.functions import Functions, open_functions
from gdlab.exported.writing import Wanted, write

__all__ = ["Functions", "open_functions", "write_functions"]


def write_functions(
    folder: Any,
    *,
    params: Any = None,
    batch: Any = None,
    aux: Any = None,
    x: Any = None,
    state: Any = None,
    loss: Callable | None = None,
    predict: Callable | None = None,
    activations: Callable | None = None,
    step: Callable | None = None,
    make_batch: Callable | None = None,
) -> list[str]:
    """Put functions into the run in `folder`, in place of those that it carries.

    Args:
      folder: of the run; the functions lie in its folder `functions`.
      params, batch, aux, x, state: examples, arrays or shapes in any pytree. The leading axes of the leaves
        of batch and x may later have any length; where that cannot be exported, that of the example alone.
      loss: (params, batch) or, with aux, (params, batch, aux) -> () or (scalar, anything), of which the
        scalar counts. It is kept with first and second derivatives with respect to the parameters.
      predict: (params, x[, aux]) -> [B, C];  activations: (params, x[, aux]) -> {layer: [B, ...]}.
      step: (state, batch) -> (state, seen), for batches of the example's size;  make_batch: iteration ()
        int32 -> batch.

    Returns sentences about what could not be exported and why: nothing that somebody's function does is
    raised. Raises DiskFull, NotWritable and DamagedRun of gdlab.store.
    """
    more = {} if aux is None else {"aux": aux}
    wanted: list[Wanted] = []
    if loss is not None:
        takes = {"params": params, "batch": batch, **more}
        wanted.append(Wanted("loss", loss, takes, "scalar", symbolic=("batch",), loss=True))
    for name, call, gives in (("predict", predict, "outputs"), ("activations", activations, "layers")):
        if call is not None:
            takes = {"params": params, "x": x, **more}
            wanted.append(Wanted(name, call, takes, gives, symbolic=("x",), pull=name == "predict"))
    if step is not None:
        wanted.append(Wanted("step", _stepped(step), {"state": state, "batch": batch}, "stepped"))
    if make_batch is not None:
        iteration = jax.ShapeDtypeStruct((), jnp.int32)
        wanted.append(Wanted("make_batch", make_batch, {"iteration": iteration}, "made"))
    return write(folder, wanted)


def _stepped(step):
    """`step` with names for the two that it gives."""

    def stepped(state, batch):
        after, seen = step(state, batch)
        return {"state": after, "seen": seen}

    return stepped
