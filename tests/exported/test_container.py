"""A file whose few bytes stand for more than a computer has is refused while it is counted."""

import jax
import jax.numpy as jnp
import pytest
from jax import export
from jax._src.export import serialization

from gdlab.exported import checking, container
from gdlab.exported.signature import Shape
from gdlab.store import Refused

SHAPES = [jax.ShapeDtypeStruct((3,), jnp.float32), jax.ShapeDtypeStruct((4, 3), jnp.float32)]
GIVES = [jax.ShapeDtypeStruct((), jnp.float32)]


def exported(shapes=SHAPES, function=lambda w, x: (jnp.sum(x @ w),)):
    return export.export(jax.jit(function), platforms=checking.PLATFORMS)(*shapes)


def refused(data, words):
    with pytest.raises(Refused, match=words) as caught:
        checking.opened(bytes(data), SHAPES, GIVES, "there")
    assert "there" in str(caught.value)


@pytest.mark.parametrize(("depth", "children"), [(64, 2), (200, 1), (1, 5_000)])
def test_a_tree_of_shared_deep_or_many_nodes_is_refused(monkeypatch, depth, children):
    """2^64 nodes in a few thousand bytes."""
    honest, tables = serialization._serialize_pytreedef, serialization.ser_flatbuf

    def node(builder, kind, inner=None):
        if inner is not None:
            tables.PyTreeDefStartChildrenVector(builder, children)
            for _ in range(children):
                builder.PrependUOffsetTRelative(inner)
            inner = builder.EndVector()
        tables.PyTreeDefStart(builder)
        tables.PyTreeDefAddKind(builder, kind)
        if inner is not None:
            tables.PyTreeDefAddChildren(builder, inner)
        return tables.PyTreeDefEnd(builder)

    def shared(builder, tree):
        found = node(builder, tables.PyTreeDefKind.none)
        for _ in range(depth):
            found = node(builder, tables.PyTreeDefKind.tuple, found)
        return found

    program = exported()
    for of in (program.in_tree, program.out_tree):
        monkeypatch.setattr(
            serialization, "_serialize_pytreedef", lambda b, t, of=of: (shared if t is of else honest)(b, t)
        )
        data = program.serialize()
        assert len(data) < 40_000
        refused(data, "a tree of more than 1,003 nodes, or deeper than 16")


@pytest.mark.parametrize("length", ["9^999999999", "b^999999999", "max(a,b,1)^9", "b ^ 9 ^ 9 ^ 9", "b^9e9"])
def test_a_length_that_is_multiplied_out_is_refused(length):
    name = "q" * len(length)
    shapes = [SHAPES[0], jax.ShapeDtypeStruct((*export.symbolic_shape(name), 3), jnp.float32)]
    data = bytes(exported(shapes).serialize())
    refused(data.replace(name.encode(), length.encode()), "it has an axis of the length")
    refused(data.replace(name.encode(), b"9" * len(name)), "its module has tensor")


def test_lengths_that_jax_itself_writes_are_read():
    (b,) = export.symbolic_shape("b")
    shapes = [SHAPES[0], jax.ShapeDtypeStruct((b, 3), jnp.float32)]
    program = exported(shapes, lambda w, x: (jnp.outer(x[:, 0], x[:, 0]).reshape(-1), x[: x.shape[0] // 2]))
    takes = [SHAPES[0], Shape((None, 3), "float32")]
    gives = [Shape((None,), "float32"), Shape((None, 3), "float32")]
    found = checking.opened(program.serialize(), takes, gives, "there")
    assert str(found.out_avals[0].shape[0]) == "b^2" and "floordiv" in str(found.out_avals[1].shape[0])


def test_a_program_for_reverse_derivatives_is_refused():
    refused(exported().serialize(vjp_order=1), "a program of its own for reverse derivatives")


def test_arrays_in_trees_of_names_are_refused():
    data = exported(function=lambda w, x: {"loss": jnp.sum(x @ w)}).serialize()
    refused(data, "a tree of classes or names")


def test_as_many_arrays_as_a_function_may_have_are_counted():
    shapes = [jax.ShapeDtypeStruct((2,), jnp.float32)] * 1_500
    data = exported(shapes, lambda *leaves: (leaves[0],)).serialize()
    container.look_over(data, 1_501, "there")
    with pytest.raises(Refused, match="more than 1,000 nodes"):
        container.look_over(data, 0, "there")
