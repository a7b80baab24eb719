"""Norms and products of parameters, gradients, updates and moments, layer by layer.

All sums of a leaf are taken in one reading of it. Left alone, XLA makes a loop of each on a CPU and reads
every array once or twice more; a reduction of several arrays at once is one loop, and over an axis of 8 in
front of a short last one that loop is unrolled and vectorised (measured by `benchmarks/recorder.py`; at 16 it
is neither).
"""

import jax
import jax.numpy as jnp

# {sum: the two trees that it is the product of}
_PRODUCTS = {
    "param": ("params", "params"),
    "grad": ("grads", "grads"),
    "update": ("updates", "updates"),
    "slope": ("grads", "updates"),
    "mu": ("mu", "mu"),
    "nu": ("nu", "nu"),
    "mu_grad": ("mu", "grads"),
}
_NORMS = {f"{name}_norm": name for name in ("param", "grad", "update", "mu", "nu")}
_AT_ONCE = 8  # terms that the compiler writes out, one beside the other
_LANES = (16, 8)  # lengths of the axis behind them
_IN_A_ROW = 256  # terms that are added one after the other: in float32 that loses 4e-6 at most


def sums_of(leaves, layers, eps=None):
    """{quantity: [L]} of `gdlab.recorder.observation.QUANTITIES`, as far as what they need is there.

    Args:
      leaves: {"params" | "grads" | "updates" | "mu" | "nu": {place: array}}.
      layers: {name: [places]}; a layer of which a tree has nothing has NaN there.
      eps: see `observe`.
    """
    products = {name: pair for name, pair in _PRODUCTS.items() if all(tree in leaves for tree in pair)}
    found = [_layer(leaves, products, members, eps) for members in layers.values()]
    sums = {name: jnp.stack([layer.get(name, jnp.float32(jnp.nan)) for layer in found]) for name in products}
    quantities = {name: jnp.sqrt(sums[square]) for name, square in _NORMS.items() if square in sums}
    if "slope" in sums:
        quantities["slope"] = sums["slope"]
    if "mu_grad" in sums:
        lengths = quantities["mu_norm"] * quantities["grad_norm"]
        quantities["mu_cosine"] = jnp.where(lengths > 0, sums["mu_grad"] / lengths, jnp.nan)
    if eps is not None and "nu" in leaves:
        quantities["eps_share"] = jnp.stack([layer.get("eps_share", jnp.float32(jnp.nan)) for layer in found])
    return quantities


def _layer(leaves, products, members, eps):
    """{sum: ()} over the leaves of one layer, in float32 or more; {"eps_share": ()} where it is asked for."""
    found: dict = {}
    count = 0
    for place in members:
        terms = {
            name: _product(leaves[one][place], leaves[other][place])
            for name, (one, other) in products.items()
            if place in leaves[one] and place in leaves[other]
        }
        if eps is not None and place in leaves.get("nu", {}):
            count += leaves["nu"][place].size
            terms["eps_share"] = (leaves["nu"][place] < eps**2).astype(jnp.float32)
        for name, value in zip(terms, _sums(list(terms.values())), strict=True):
            found[name] = found[name] + value if name in found else value
    return {name: value / count if name == "eps_share" else value for name, value in found.items()}


def _product(a, b):
    dtype = jnp.promote_types(jnp.promote_types(a.dtype, b.dtype), jnp.float32)
    # No dot product, which an array that is spread over devices may refuse.
    return jnp.real(jnp.conj(a.astype(dtype)) * b.astype(dtype))


def _sums(terms):
    """The sum of each of several arrays of one shape."""
    # Other compilers read once by themselves. Of an array that is spread over devices, another shape would
    # have to be gathered first.
    terms = jax.lax.stop_gradient(terms)  # a loop over several arrays has no derivative, and needs none
    if not terms or jax.device_count() > 1:
        return _apart(*terms)
    return jax.lax.platform_dependent(*terms, cpu=_together, default=_apart)


def _apart(*terms):
    return tuple(jnp.sum(term) for term in terms)


def _together(*terms):
    """The same by one loop over all of them, and by further ones over what it leaves, an eighth each."""
    while (size := terms[0].size) > _IN_A_ROW:
        lanes = next((lanes for lanes in _LANES if size % (_AT_ONCE * lanes) == 0), None)
        if lanes is None:
            return _apart(*terms)
        terms = _reduced([term.reshape(-1, _AT_ONCE, lanes) for term in terms], (1,))
    return _reduced(terms, tuple(range(terms[0].ndim)))


def _reduced(terms, axes):
    zeros = tuple(jnp.zeros((), term.dtype) for term in terms)
    return jax.lax.reduce(tuple(terms), zeros, _added, axes)


def _added(one, other):
    return tuple(a + b for a, b in zip(one, other, strict=True))
