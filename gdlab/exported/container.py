"""The file that a program lies in, looked over before JAX makes objects of it: what it would cost is bounded.

`jax.export` keeps a FlatBuffers table. Its tables may be shared, so a few bytes can stand for a tree of any
size, and its lengths of axes are expressions that are multiplied out. gdlab's programs take and give flat
arrays: trees of a few nodes more than arrays, without classes and names, nothing about several devices, no
program for reverse derivatives. What says more is refused while it is counted.
"""

import re
from typing import Any

from gdlab.store import Refused

MOST_DEPTH = 16  # of a tree within trees
MOST_RANK = 32
MOST_TEXT = 100  # characters of an axis' length
MOST_TEXTS = 200_000  # of all lengths that are no numbers
_SPARE = 1_000  # nodes besides those of arrays
_FEW = 16
# Powers and products of sums make a short text long: "9^999999", "max(a+b,0)^9", many brackets.
_LONG = re.compile(r"\)\^|\^(?!\d(?![\d^_.a-z]))|(\(.*){5}", re.IGNORECASE)


def look_over(data: bytes | bytearray, arrays: int, where: str) -> None:
    """Raises Refused for a program that says more than one over flat arrays does.

    arrays: how many it takes and gives, together. Whatever else the bytes lead to is raised as it is.
    """
    # What jax.export itself reads with; private, and as old as the format.
    from jax._src.export import serialization_generated as tables

    program = tables.Exported.GetRootAsExported(data)
    most = arrays + _SPARE
    kinds = tables.PyTreeDefKind
    plain = {kinds.leaf, kinds.none, kinds.tuple, kinds.list, kinds.dict}
    for tree in (program.InTree(), program.OutTree()):
        _check_tree(tree, plain, most, where)
    characters = 0
    for what in ("InAvals", "OutAvals", "UniqueAvals"):
        for aval in _listed(program, what, most, where):
            characters += _open_lengths(aval, where)
            if characters > MOST_TEXTS:
                raise Refused(f"its axes' lengths have more than {MOST_TEXTS:,} characters", where)
    for what in ("InAvalsIdxs", "OutAvalsIdxs", "InShardingsIdxs", "OutShardingsIdxs", "ModuleKeptVarIdx"):
        _count(program, what, most, where)
    for what in ("InShardings", "OutShardings"):
        for sharding in _listed(program, what, most, where):
            if sharding.NamedSharding() is not None or not sharding.HloShardingProtoIsNone():
                raise Refused("it is laid out over devices", where)
    for what in ("UniqueAbstractMeshes", "UniqueNamedShardings"):
        if _count(program, what, most, where):
            raise Refused("it is laid out over devices", where)
    for what in ("Platforms", "OrderedEffects", "UnorderedEffects", "DisabledChecks"):
        _count(program, what, _FEW, where)
    if program.Vjp() is not None:
        raise Refused("it brings a program of its own for reverse derivatives", where)


def _check_tree(tree, kinds, most, where):
    """A tree of a bounded number of nodes, each counted as often as it is met."""
    waiting, count = [(tree, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        inner = node.ChildrenLength()
        count += 1
        if count + len(waiting) + inner > most or depth > MOST_DEPTH:
            raise Refused(
                f"its arrays stand in a tree of more than {most:,} nodes, or deeper than {MOST_DEPTH}", where
            )
        if node.Kind() not in kinds or node.ChildrenNamesLength():
            raise Refused("its arrays stand in a tree of classes or names, not in flat ones", where)
        waiting += [(node.Children(number), depth + 1) for number in range(inner)]


def _open_lengths(aval, where):
    """The characters of an array's lengths that are no numbers."""
    characters = 0
    if aval.ShapeLength() > MOST_RANK:
        raise Refused(f"it has an array of {aval.ShapeLength():,} axes", where)
    for axis in range(aval.ShapeLength()):
        text = aval.Shape(axis).decode()
        if len(text) > MOST_TEXT or _LONG.search("".join(text.split())):
            raise Refused(f"it has an axis of the length {text[:40]}", where)
        characters += 0 if text.isdigit() else len(text)
    return characters


def _count(program: Any, what: str, most: int, where: str) -> int:
    """How many of `what` there are; 0 in a JAX whose programs have none."""
    count = getattr(program, f"{what}Length", int)()
    if count > most:
        raise Refused(f"it has {count:,} of {what}, at most {most:,} are possible", where)
    return count


def _listed(program, what, most, where):
    return (getattr(program, what)(number) for number in range(_count(program, what, most, where)))
