"""What an iteration leaves behind, as one small vector that is made inside the compiled step."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gdlab.recorder.moments import learning_rate, moments, places
from gdlab.recorder.sums import sums_of
from gdlab.training.leaf_names import names_of

# Of the whole network, in this order, as far as they are known.
NUMBERS = ("loss", "grad_norm", "update_norm", "slope", "learning_rate", "clipped")
# Of every layer: norms of its parameters theta_k, gradient g, update u and moments; g . u; the cosine of the
# first moment with the gradient; the share of its numbers whose step epsilon dominates.
QUANTITIES = (
    "param_norm", "grad_norm", "update_norm", "slope", "mu_norm", "nu_norm", "mu_cosine", "eps_share",
)  # fmt: skip


class Layout(NamedTuple):
    """What stands where in the vector: the numbers, then each quantity of all layers."""

    numbers: tuple[str, ...]
    quantities: tuple[str, ...]
    layers: tuple[str, ...]

    @property
    def size(self) -> int:
        """Length of the vector."""
        return len(self.numbers) + len(self.quantities) * len(self.layers)


@partial(jax.tree_util.register_dataclass, data_fields=["values"], meta_fields=["layout"])
@dataclass(frozen=True)
class Observation:
    """Made by `observe`. values: [S], or [..., S] behind `lax.scan` and `vmap`; float32, or float64 where
    the parameters are; None of an iteration that was not looked at. layout: the names of the values; part of
    the pytree's structure, not of its data.
    """

    values: Any
    layout: Layout


def observe(
    *,
    loss: Any = None,
    params: Any = None,
    grads: Any = None,
    updates: Any = None,
    opt_state: Any = None,
    clip: float | None = None,
    eps: float | None = None,
    when: bool = True,
) -> Observation:
    """What happened in an iteration, to be returned by the training step and given to `Recorder.write`.

    A pure function, meant for inside `jax.jit`. What is handed over decides what is recorded; each may be
    left out, but not all.

    Args:
      loss: J(theta_k) on the batch of the iteration, ().
      params: theta_k, any pytree, as it was before the update.
      grads: g_k, a pytree like `params` (leaves that no gradient is taken of may be missing).
      updates: what is added to the parameters, theta_{k+1} - theta_k.
      opt_state: the state of an optax transformation after the update; moments are found in it by class, and
        the learning rate that `optax.inject_hyperparams` keeps.
      clip: the threshold of `optax.clip_by_global_norm`, which its state does not keep: "clipped" is
        recorded, 1 where |g_k| is larger.
      eps: epsilon of Adam or RMSProp, which their state does not keep: the share of each layer's numbers
        with sqrt(nu) < eps is recorded (nu as it is kept, not corrected for its start).
      when: False: nothing is computed, and the Observation is empty, of which `Recorder.write` records
        nothing. A bool of Python, so that jit compiles a step for each (`static_argnames`): a condition
        inside a compiled step would save nothing.

    Returns:
      An Observation. Layers are those of the parameters' tree: what shares all but the last part of its path.

    Raises:
      ValueError: nothing was handed over. TypeError: `when` is an array.
    """
    if isinstance(when, (jax.Array, np.ndarray)):
        raise TypeError(
            f"observe: when={when!r:.80} is an array, a bool that the compiler knows is expected: "
            'jax.jit(step, static_argnames="look"), called with look=step % 10 == 0'
        )
    if not when:
        return Observation(None, Layout((), (), ()))
    trees = {"params": params, "grads": grads, "updates": updates}
    leaves = {name: dict(places(tree)) for name, tree in trees.items() if tree is not None}
    if opt_state is not None:
        leaves |= {name: found for name, found in zip(("mu", "nu"), moments(opt_state), strict=True) if found}
    numbers = {"loss": loss, "learning_rate": None if opt_state is None else learning_rate(opt_state)}
    if not leaves and loss is None:
        raise ValueError("observe: hand over loss, params, grads, updates or opt_state")
    layers = _layers(leaves)
    quantities = sums_of(leaves, layers, eps) if layers else {}
    if "grad_norm" in quantities and clip is not None:
        numbers["clipped"] = _whole(quantities["grad_norm"]) > clip
    for name in ("grad_norm", "update_norm"):
        if name in quantities:
            numbers[name] = _whole(quantities[name])
    if "slope" in quantities:
        numbers["slope"] = jnp.sum(quantities["slope"])
    return _packed(numbers, quantities, tuple(layers))


def _layers(leaves):
    """{name of a layer: places of its leaves}, in the order of the first tree that has them."""
    found: dict = {}
    for place in dict.fromkeys(place for tree in leaves.values() for place in tree):
        found.setdefault(place[:-1] or place, []).append(place)
    names = names_of(found)
    return {names[place]: members for place, members in found.items()}


def _whole(norms):
    return jnp.sqrt(jnp.sum(jnp.square(norms)))


def _packed(numbers, quantities, layers):
    known = {name: numbers[name] for name in NUMBERS if numbers.get(name) is not None}
    kept = {name: quantities[name] for name in QUANTITIES if name in quantities}
    known = {name: jnp.reshape(value, (1,)) for name, value in known.items()}
    parts = [*known.values(), *kept.values()]
    # As the parameters are: the error may be of another kind, and one that is not told has none.
    wide = [part.dtype for part in (kept or known).values() if jnp.result_type(part) == jnp.float64]
    dtype = jnp.float64 if wide else jnp.float32
    values = (
        jnp.concatenate([jnp.asarray(part).astype(dtype) for part in parts]) if parts else jnp.zeros(0, dtype)
    )
    return Observation(values, Layout(tuple(known), tuple(kept), layers if kept else ()))
