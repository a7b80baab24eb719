"""Python functions as programs: over flat leaves, with axes of any length, for every platform.

A loss becomes four programs, so that a reader needs no derivative of a program: `value`; `gradient`, the
value and the gradient with respect to all numbers with a fraction; `curvature`, gradient and Hessian-vector
product; and `grid`, the values at GRID parameter vectors side by side.

XLA rounds a program with axes of any length, or for several platforms, now and then otherwise than the
live function, even where it does the same. So beside each there is an exact one, of the example's lengths and
for the platform at hand, which is what JAX makes of the live function: its numbers are the same to the bit.
"""

import itertools
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from gdlab.exported.checking import PLATFORMS, check
from gdlab.exported.container import look_over
from gdlab.exported.trees import Taken, put_together, shapes
from gdlab.store import Refused
from gdlab.store.functions import MAX_BYTES

GRID = 32  # parameter vectors side by side
_OF = "_of_"


class Made(NamedTuple):
    """Programs by name, and the shapes of what each gives, None for an axis of any length."""

    programs: dict[str, bytes]
    gives: Any


def over_leaves(function: Callable, trees: Sequence[Taken]) -> Callable:
    """`function`, of pytrees, as one of their leaves one after the other; keys as data."""
    edges = [0]
    for tree in trees:
        edges.append(edges[-1] + len(tree.leaves))

    def flat(*leaves):
        parts = [leaves[a:b] for a, b in itertools.pairwise(edges)]
        return function(*(put_together(part, tree) for part, tree in zip(parts, trees, strict=True)))

    return flat


def value_of(function: Callable) -> Callable:
    """The loss alone of what `function` returns: a scalar, or a pair that begins with one."""

    def value(*leaves):
        found = function(*leaves)
        found = found[0] if isinstance(found, tuple) else found
        if getattr(found, "shape", None) != ():
            shape = getattr(found, "shape", type(found).__name__)
            raise TypeError(f"it returns {shape}, a scalar or (scalar, anything) is needed")
        return found

    return value


def gradient_of(value: Callable, inexact: Sequence[bool]) -> Callable:
    """(*leaves) -> (value, *gradients) with respect to those of the first leaves that are `inexact`."""

    def gradient(*leaves):
        moved, apart = _split(leaves, inexact)
        found, slopes = jax.value_and_grad(lambda given: value(*_joined(given, apart, inexact)))(moved)
        return (found, *slopes)

    return gradient


def curvature_of(value: Callable, inexact: Sequence[bool], forward: bool) -> Callable:
    """(*leaves, *direction) -> (*gradients, *(Hessian matrix times direction)).

    forward: by forward over reverse differentiation, as `jax.jvp(jax.grad(f))`; else reverse over reverse,
    for functions that have no forward mode.
    """
    size = sum(inexact)

    def curvature(*given):
        leaves, direction = given[:-size], list(given[-size:])
        moved, apart = _split(leaves, inexact)
        slope = jax.grad(lambda there: value(*_joined(there, apart, inexact)))
        if forward:
            found, product = jax.jvp(slope, (moved,), (direction,))
        else:
            found, pull = jax.vjp(slope, moved)
            (product,) = pull(direction)
        return (*found, *product)

    return curvature


def pull_of(function: Callable, inexact: Sequence[bool]) -> Callable:
    """(*leaves, *cotangents of what `function` gives) -> cotangents of those leaves that are `inexact`."""

    def pull(*given):
        leaves, back = given[: len(inexact)], given[len(inexact) :]
        moved, apart = _split(leaves, inexact)
        _, pulled = jax.vjp(lambda there: function(*_joined(there, apart, inexact)), moved)
        return tuple(pulled(tuple(back))[0])

    return pull


def program(
    function: Callable, takes: Sequence[jax.ShapeDtypeStruct], platforms: Sequence[str] = PLATFORMS
) -> tuple[bytes, list]:
    """(the serialised program of `function`, the shapes that it gives).

    Raises whatever JAX says where it cannot be exported; Refused where nobody would run it.
    """
    from jax import export  # needs flatbuffers, which only who reads or writes functions has

    with _without_places():
        made = export.export(jax.jit(function), platforms=platforms)(*takes)
    data = bytes(made.serialize(vjp_order=0))
    look_over(data, len(made.in_avals) + len(made.out_avals), "the exported program")
    check(made, "the exported program")
    if len(data) > MAX_BYTES:
        raise Refused(
            f"it has {len(data):,} bytes, at most {MAX_BYTES:,} are kept: large arrays that it closes over "
            "are part of it; hand them over in the batch or in aux=",
            "the exported program",
        )
    return data, list(made.out_avals)


def with_symbols(trees: Sequence[Taken]) -> list[jax.ShapeDtypeStruct]:
    """What a program takes for the trees, in order; equal symbols are one length."""
    from jax import export

    names = dict.fromkeys(name for tree in trees for name in tree.symbols)
    made = dict(zip(names, export.symbolic_shape(", ".join(names)), strict=True)) if names else {}
    return [shape for tree in trees for shape in shapes(tree.leaves, [made[name] for name in tree.symbols])]


def grid_of(value: Callable, params: int, others: int) -> Callable:
    """`value` at GRID parameter vectors: the first `params` leaves have a leading axis of that length."""
    return jax.vmap(value, in_axes=(*[0] * params, *[None] * others))


def on_grid(takes: Sequence[jax.ShapeDtypeStruct], params: int) -> list[jax.ShapeDtypeStruct]:
    """`takes` with that axis."""
    wide = [jax.ShapeDtypeStruct((GRID, *one.shape), one.dtype) for one in takes[:params]]
    return [*wide, *takes[params:]]


def here() -> str:
    """The platform that programs run on by default: "cpu", "cuda", "tpu"."""
    from jax import export

    return export.default_export_platform()


def role(tree: str) -> str:
    """What a tree is to a function: "batch" of "batch" and of "batch_of_loss", where functions differ in
    it."""
    return tree.partition(_OF)[0]


def name_of(what: str, function: str) -> str:
    """The name of a tree of one function alone."""
    return f"{what}{_OF}{function}"


def _split(leaves, inexact):
    moved = [leaf for leaf, moves in zip(leaves, inexact, strict=False) if moves]
    return moved, leaves


def _joined(moved, leaves, inexact):
    waiting = iter(moved)
    front = [next(waiting) if moves else leaf for leaf, moves in zip(leaves, inexact, strict=False)]
    return [*front, *leaves[len(inexact) :]]


@contextmanager
def _without_places():
    """Without the names and lines of source files in what is lowered: they are nobody else's business."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)
