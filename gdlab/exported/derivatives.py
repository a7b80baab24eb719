"""A loss of programs that may be differentiated twice and mapped: `value`, `gradient`, `curvature`, `grid`.

JAX maps and differentiates no exported program. So the loss says its own derivatives: forward as g . u,
reverse as g, and those of the gradient as H u, a Hessian-vector product, which is its own transpose. Under
`vmap` the programs run one after the other, but the loss at many parameter vectors on the same examples, as
the live one does, side by side.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap, sequential_vmap
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from gdlab.store import NoFunctions


def loss_of(programs: dict[str, Callable], inexact: Sequence[bool], width: int, missing: str) -> Callable:
    """loss(params leaves, other leaves) -> (), of programs over flat leaves.

    inexact: which leaves of the parameters have derivatives; width: of the grid; missing: begins the message
    of the NoFunctions that is raised where a derivative is asked for that is not there.
    """
    value = _value(programs["value"], programs.get("grid"), len(inexact), width)
    slopes = _slopes(programs, inexact, missing)

    @jax.custom_jvp
    def loss(params, others):
        return value(*params, *others)

    def rule(primals, tangents):
        params, others = primals
        moved = _moved(tangents, inexact)
        found, gradient = slopes(params, others)
        return found, sum(
            (
                jnp.vdot(g, u).astype(found.dtype)
                for g, u in zip(gradient, moved, strict=True)
                if u is not None
            ),
            jnp.zeros_like(found),
        )

    loss.defjvp(rule, symbolic_zeros=True)
    return loss


def outputs_of(program: Callable, pull: Callable, inexact: Sequence[bool]) -> Callable:
    """A program that may be mapped and differentiated in reverse, by its program `pull`, with respect to the
    leaves that are `inexact`."""
    run, back = sequential_vmap(program), sequential_vmap(pull)

    @jax.custom_vjp
    def outputs(*leaves):
        return run(*leaves)

    def forward(*leaves):
        return run(*leaves), leaves

    def backward(leaves, cotangents):
        found = iter(back(*leaves, *cotangents))
        return tuple(next(found) if moves else None for moves in inexact)

    outputs.defvjp(forward, backward)
    return outputs


def one_after_the_other(program: Callable) -> Callable:
    """A program that may be mapped; it has no derivatives."""
    return sequential_vmap(program)


def _slopes(programs, inexact, missing):
    """(params, others) -> (value, gradient), differentiable once more."""
    if "gradient" not in programs:

        def absent(params, others):
            raise NoFunctions(f"{missing} gradient")

        return absent
    gradient = sequential_vmap(programs["gradient"])
    curvature = programs.get("curvature")

    @jax.custom_jvp
    def slopes(params, others):
        found, *slope = gradient(*params, *others)
        return found, slope

    def rule(primals, tangents):
        params, others = primals
        moved = _moved(tangents, inexact)
        if curvature is None:
            raise NoFunctions(f"{missing} curvature")
        found, slope = slopes(params, others)
        direction = [jnp.zeros_like(g) if u is None else u for g, u in zip(slope, moved, strict=True)]
        product = _product.bind(*params, *others, *direction, curvature=curvature, size=len(direction))
        along = sum(jnp.vdot(g, u).astype(found.dtype) for g, u in zip(slope, direction, strict=True))
        return (found, slope), (along, list(product))

    slopes.defjvp(rule, symbolic_zeros=True)
    return slopes


def _moved(tangents, inexact):
    """The tangents of the parameters that have one, None for a zero; others must not move."""
    params, others = tangents
    if any(not isinstance(tangent, SymbolicZero) for tangent in others):
        raise NoFunctions("the functions of a run have derivatives with respect to the parameters alone")
    return [
        None if isinstance(t, SymbolicZero) else t for t, moves in zip(params, inexact, strict=True) if moves
    ]


def _value(program, grid, count, width):
    """The value at one parameter vector; at many, on the same examples, `width` of them side by side."""
    alone = sequential_vmap(program)
    if grid is None:
        return alone

    @custom_vmap
    def value(*leaves):
        return program(*leaves)

    @value.def_vmap
    def rule(axis_size, in_batched, *leaves):
        if not all(in_batched[:count]) or any(in_batched[count:]):
            axes = [0 if batched else None for batched in in_batched]
            return jax.vmap(alone, in_axes=axes, axis_size=axis_size)(*leaves), True
        return _side_by_side(grid, leaves[:count], leaves[count:], axis_size, width), True

    return value


def _side_by_side(grid, params, others, size, width):
    """The values [size] at `params` [size, ...]."""
    chunks = -(-size // width)
    room = chunks * width - size

    def laid_out(leaf):
        padded = jnp.concatenate([leaf, jnp.repeat(leaf[-1:], room, axis=0)]) if room else leaf
        return padded.reshape(chunks, width, *leaf.shape[1:])

    if chunks == 1:
        return grid(*(laid_out(leaf)[0] for leaf in params), *others)[:size]
    found = jax.lax.map(lambda part: grid(*part, *others), [laid_out(leaf) for leaf in params])
    return found.reshape(-1)[:size]


# The Hessian matrix times a direction: linear in the direction, and, the matrix being symmetric, its own
# transpose.
_product = Primitive("hessian_product")
_product.multiple_results = True


def _compute(*leaves, curvature, size):
    return list(curvature(*leaves)[size:])


def _product_jvp(primals, tangents, *, curvature, size):
    if any(type(tangent) is not ad.Zero for tangent in tangents[:-size]):
        raise NoFunctions(
            "the functions of a run have derivatives of the first and second order, not the third"
        )
    found = _product.bind(*primals, curvature=curvature, size=size)
    direction = [ad.instantiate_zeros(tangent) for tangent in tangents[-size:]]
    moved = _product.bind(*primals[:-size], *direction, curvature=curvature, size=size)
    return found, moved


def _product_transpose(cotangents, *leaves, curvature, size):
    back: list[Any] = [ad.instantiate_zeros(cotangent) for cotangent in cotangents]
    back = _product.bind(*leaves[:-size], *back, curvature=curvature, size=size)
    return [None] * (len(leaves) - size) + back


def _product_batch(leaves, axes, *, curvature, size):
    moved = [
        leaf if axis is None else jnp.moveaxis(leaf, axis, 0) for leaf, axis in zip(leaves, axes, strict=True)
    ]
    mapped = [leaf for leaf, axis in zip(moved, axes, strict=True) if axis is not None]

    def one(parts):
        waiting = iter(parts)
        each = [leaf if axis is None else next(waiting) for leaf, axis in zip(moved, axes, strict=True)]
        return _product.bind(*each, curvature=curvature, size=size)

    return jax.lax.map(one, mapped), [0] * size


def _product_shapes(*leaves, curvature, size):
    return list(leaves[-size:])


_product.def_impl(_compute)
_product.def_abstract_eval(_product_shapes)
ad.primitive_jvps[_product] = _product_jvp
ad.primitive_transposes[_product] = _product_transpose
batching.primitive_batchers[_product] = _product_batch
mlir.register_lowering(_product, mlir.lower_fun(_compute, multiple_results=True))
