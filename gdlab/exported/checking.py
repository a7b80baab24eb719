"""A program from a run folder is a stranger's: what has to be true of it before it is run.

`jax.export` serialises for readers who trust the writer: its programs may call whatever the installed jaxlib
registers, host callbacks among it. Here a program may consist of StableHLO's arithmetic and of calls on a
short list (`ALLOWED`), takes and gives what functions.json says, has no effects, and runs on one device. The
same checks are made when a function is written, so that nobody finds out later.

Parsing happens in C++ that was not written for hostile bytes: a page asks the server's worker process for it,
which may die without harm.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.interpreters.mlir import make_ir_context

from gdlab.exported.container import look_over
from gdlab.store import Refused

PLATFORMS = ("cpu", "cuda", "tpu")
MOST_OPERATIONS = 2_000_000
MOST_DEPTH = 200  # of regions within regions

# Calls that a program may make besides StableHLO's own operations:
ALLOWED = (
    "shape_assertion",  # holds lengths of axes against each other; only its text is used
    "cu_threefry2x32_ffi",  # random bits on CUDA, elementwise
    "Sharding",  # an annotation, which means nothing on one device
)
_DIALECTS = ("builtin", "func", "stablehlo", "chlo")
# What talks to the host, to other devices or to other programs.
_REFUSED = frozenset(
    f"stablehlo.{name}"
    for name in (
        *("infeed", "outfeed", "send", "recv", "create_token", "after_all", "optimization_barrier_token"),
        *("all_gather", "all_reduce", "all_to_all", "collective_broadcast", "collective_permute"),
        *("cross-replica-sum", "partition_id", "replica_id", "reduce_scatter"),
    )
)
_NAMES = {
    "f16": "float16", "f32": "float32", "f64": "float64", "bf16": "bfloat16", "i1": "bool", "i8": "int8",
    "i16": "int16", "i32": "int32", "i64": "int64", "ui8": "uint8", "ui16": "uint16", "ui32": "uint32",
    "ui64": "uint64", "complex<f32>": "complex64", "complex<f64>": "complex128",
}  # fmt: skip


def opened(data: bytes, takes: Sequence[Any], gives: Sequence[Any], where: str) -> jax.export.Exported:
    """The program in `data`, checked; takes, gives: shapes with None for an axis of any length.

    Raises:
      Refused: it is no program, or not one that is run here; the message says why.
    """
    from jax import export  # needs flatbuffers, which only who reads or writes functions has

    try:
        packed = bytearray(data)
        look_over(packed, len(takes) + len(gives), where)
        exported = export.deserialize(packed)
    except Refused:
        raise
    except Exception as error:  # whatever bytes that are no program lead to
        raise Refused(f"no program that JAX {jax.__version__} can read: {_short(error)}", where) from error
    check(exported, where)
    for what, found, wanted in (("takes", exported.in_avals, takes), ("gives", exported.out_avals, gives)):
        _check_signature(what, found, wanted, where)
    return exported


def check(exported: jax.export.Exported, where: str) -> None:
    """Raises Refused unless a program may be run here, whatever it takes and gives."""
    told = {
        "effects": (*exported.ordered_effects, *exported.unordered_effects),
        "checks that are switched off": exported.disabled_safety_checks,
    }
    for what, found in told.items():
        if found:
            raise Refused(f"it has {what}: {', '.join(map(str, found))[:200]}", where)
    if exported.nr_devices != 1:
        raise Refused(f"it is for {exported.nr_devices} devices together; allowed: 1", where)
    if not set(exported.platforms) <= set(PLATFORMS):
        raise Refused(f"it is for {', '.join(exported.platforms)[:200]}", where)
    try:
        with make_ir_context():
            module = exported.mlir_module(serialized=False)
            if not module.operation.verify():
                raise Refused("its module is not valid", where)
            _walk(module.operation, where)
            _check_main(module, exported, where)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"no module that can be read: {_short(error)}", where) from error


def _walk(operation, where):
    """Every operation of a module is one that may be there."""
    waiting, count = [(operation, 0)], 0
    while waiting:
        found, depth = waiting.pop()
        count += 1
        if count > MOST_OPERATIONS or depth > MOST_DEPTH:
            raise Refused(f"more than {MOST_OPERATIONS:,} operations, or deeper than {MOST_DEPTH}", where)
        name = found.name
        if name.partition(".")[0] not in _DIALECTS or name in _REFUSED:
            raise Refused(f"it contains the operation {name[:100]}, which is not allowed", where)
        if name == "stablehlo.custom_call":
            _check_call(found, where)
        if name == "stablehlo.composite":
            _check_composite(found, where)
        for region in found.regions:
            waiting += [(child.operation, depth + 1) for block in region for child in block]


def _check_call(operation, where):
    name = str(operation.attributes["call_target_name"]).strip('"')
    if name not in ALLOWED:
        raise Refused(f"it calls {name[:100]}, which is not allowed; allowed: {', '.join(ALLOWED)}", where)


def _check_composite(operation, where):
    """A composite is arithmetic under a name that compilers may know; CHLO's are mathematical functions."""
    name = str(operation.attributes["name"]).strip('"')
    if not name.startswith("chlo."):
        raise Refused(
            f"it contains the composite {name[:100]}, which is not allowed; allowed: chlo. ...", where
        )


def _check_main(module, exported, where):
    """The module's main function takes what the program says that it takes."""
    from jaxlib.mlir import ir

    main = next((op for op in module.body if _is_main(op)), None)
    if main is None:
        raise Refused("its module has no main function", where)
    inputs = [ir.RankedTensorType(kind) for kind in main.type.inputs]
    kept = [exported.in_avals[i] for i in exported.module_kept_var_idx]
    ahead = len(inputs) - len(kept)  # the number of the platform
    if ahead != (len(exported.platforms) > 1):
        raise Refused(f"its module takes {len(inputs)} arrays, {len(kept)} are handed to it", where)
    outputs = [ir.RankedTensorType(kind) for kind in main.type.results]
    pairs = [*zip(inputs[ahead:], kept, strict=True)]
    if len(outputs) != len(exported.out_avals):
        raise Refused(f"its module gives {len(outputs)} arrays, not {len(exported.out_avals)}", where)
    for kind, aval in [*pairs, *zip(outputs, exported.out_avals, strict=True)]:
        sizes = tuple(
            None if kind.is_dynamic_dim(axis) else kind.get_dim_size(axis) for axis in range(kind.rank)
        )
        if (sizes, _NAMES.get(str(kind.element_type))) != (_sizes(aval), str(aval.dtype)):
            raise Refused(f"its module has {kind} where {aval.str_short()} is told", where)


def _is_main(operation):
    attributes = operation.operation.attributes
    return operation.operation.name == "func.func" and str(attributes["sym_name"]) == '"main"'


def _check_signature(what, found, wanted, where):
    if len(found) != len(wanted):
        raise Refused(f"it {what} {len(found)} arrays, not {len(wanted)}: another function's program", where)
    for number, (aval, one) in enumerate(zip(found, wanted, strict=True)):
        sizes, dtype, asked = _sizes(aval), str(aval.dtype), tuple(one.shape)
        # None: any length, also one alone.
        fits = len(sizes) == len(asked) and all(
            there in (None, size) for size, there in zip(sizes, asked, strict=True)
        )
        if not fits or dtype != str(one.dtype):
            raise Refused(
                f"it {what} {dtype}{sizes} as number {number}, not {one.dtype}{asked}: "
                "another function's program",
                where,
            )


def _sizes(aval):
    return tuple(size if isinstance(size, int | np.integer) else None for size in aval.shape)


def _short(error):
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"
