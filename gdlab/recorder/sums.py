"""Norms and products of parameters, gradients, updates and moments, layer by layer."""

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


def sums_of(leaves, layers, eps=None):
    """{quantity: [L]} of `gdlab.recorder.observation.QUANTITIES`, as far as what they need is there.

    Args:
      leaves: {"params" | "grads" | "updates" | "mu" | "nu": {place: array}}.
      layers: {name: [places]}; a layer of which a tree has nothing has NaN there.
      eps: see `observe`.
    """
    products = {name: pair for name, pair in _PRODUCTS.items() if all(tree in leaves for tree in pair)}
    sums = {
        name: jnp.stack([_sum(leaves, pair, members) for members in layers.values()])
        for name, pair in products.items()
    }
    found = {name: jnp.sqrt(sums[square]) for name, square in _NORMS.items() if square in sums}
    if "slope" in sums:
        found["slope"] = sums["slope"]
    if "mu_grad" in sums:
        lengths = found["mu_norm"] * found["grad_norm"]
        found["mu_cosine"] = jnp.where(lengths > 0, sums["mu_grad"] / lengths, jnp.nan)
    if eps is not None and "nu" in leaves:
        found["eps_share"] = jnp.stack([_share(leaves["nu"], members, eps) for members in layers.values()])
    return found


def _sum(leaves, pair, members):
    """The inner product of two trees over the leaves of one layer, in float32 or more."""
    one, other = (leaves[name] for name in pair)
    found = [_product(one[place], other[place]) for place in members if place in one and place in other]
    return sum(found) if found else jnp.float32(jnp.nan)


def _product(a, b):
    dtype = jnp.promote_types(jnp.promote_types(a.dtype, b.dtype), jnp.float32)
    # No dot product, which an array that is spread over devices may refuse.
    return jnp.sum(jnp.real(jnp.conj(a.astype(dtype)) * b.astype(dtype)))


def _share(nu, members, eps):
    there = [nu[place] for place in members if place in nu]
    if not there:
        return jnp.float32(jnp.nan)
    count = sum(leaf.size for leaf in there)
    return sum(jnp.count_nonzero(leaf < eps**2) for leaf in there).astype(jnp.float32) / count
