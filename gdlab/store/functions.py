"""The functions that a run carries, as files: what there is, of which form, and their bytes; without JAX.

    functions/functions.json                  which functions, over which leaves, written with what and when
    functions/loss.gradient.1a2b3c4d          one program each, as `jax.export` serialises it

The document is replaced last and names every file with its size and checksum, so a reader finds the old
functions or the new ones. Both may come from a stranger: whatever is read here is checked before it is used.
"""

import contextlib
import math
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from gdlab.store import checksums, files
from gdlab.store.errors import DamagedRun, NewerSchema, NoFunctions, UnknownName, nearest

FOLDER, FILE = "functions", "functions.json"
SCHEMA = 1
OBSERVED = "observation"  # where a step that is carried gives its Observation, in "seen"
MAX_BYTES = 256 << 20  # of one program; the constants of a function that has its data in itself are in it
MAX_LEAVES = 20_000
MAX_DEPTH = 64  # of the words of a leaf's place
MAX_RANK = 16
_NAME = re.compile(r"[a-z][a-z_]{0,63}")
_FILE_NAME = re.compile(r"[a-z][a-z_]{0,63}\.[a-z][a-z_]{0,63}\.[0-9a-f]{8}")
# Of the arrays that programs take and give: JAX knows more, which no program that is kept has.
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("bfloat16", "float16", "float32", "float64", "complex64", "complex128"),
)
_KEY = re.compile(r"[a-z][a-z0-9_]{1,31}")
_JAX = re.compile(r"[0-9A-Za-z.+\-]{1,40}")


class Leaf(NamedTuple):
    """An array among those that a function takes or gives.

    path: the words of its place, ("conv1", "kernel"); () for a bare array. shape: None for an axis of any
    length, the same for all of a tree's leaves that had the same one. dtype: as NumPy and JAX name it; of a
    random key that of its data, and key: the name of its kind ("fry"), None for all other leaves.
    """

    path: tuple[str, ...]
    shape: tuple[int | None, ...]
    dtype: str
    key: str | None = None


class Program(NamedTuple):
    """A file of `functions/`: its name, size and checksum."""

    file: str
    bytes: int
    checksum: str


class Carried(NamedTuple):
    """A function: the trees it takes, in order, the tree it gives, its programs by name ("value", ...).

    platform, lengths: for which platform, and which lengths of the axes of any length, in the order of the
    leaves, the programs called "..._exact" were written.
    """

    takes: tuple[str, ...]
    gives: str
    programs: dict[str, Program]
    platform: str
    lengths: tuple[int, ...]


class Document(NamedTuple):
    """What functions.json says.

    jax: version that wrote the programs; date: "2026-11-30"; x64: whether in 64 bits; trees: {name: leaves};
    functions: {name: Carried}; notes: sentences about what is missing and why; facts: what else readers need.
    """

    jax: str
    date: str
    x64: bool
    trees: dict[str, tuple[Leaf, ...]]
    functions: dict[str, Carried]
    notes: tuple[str, ...]
    facts: dict[str, bool | tuple[str, ...]]


def names(path: str | os.PathLike) -> tuple[str, ...]:
    """Which functions the run in `path` carries; () for none. Errors as of `read`."""
    try:
        return tuple(read(path).functions)
    except NoFunctions:
        return ()


def read(path: str | os.PathLike) -> Document:
    """The Document of the run in `path`.

    Raises NoFunctions where the run carries none, DamagedRun, NewerSchema.
    """
    where = os.path.join(path, FOLDER, FILE)
    files.no_links(path, os.path.dirname(where))
    try:
        data, _ = files.read_small(where)
    except FileNotFoundError:
        raise NoFunctions(f"{os.fspath(path)} carries no functions ({where} is missing)") from None
    if not checksums.is_sealed(data, where):
        raise DamagedRun("its checksum is missing", where)
    document = files.parse_json(data, where)
    if type(document.get("schema")) is int and document["schema"] > SCHEMA:
        raise NewerSchema(f"{where} has schema {document['schema']}, this gdlab knows {SCHEMA}: update gdlab")
    try:
        return _parsed(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedRun(f"no description of functions: {type(error).__name__}: {error}", where) from error


def load(path: str | os.PathLike, program: Program) -> bytes:
    """The bytes of a program, which are those that were written. Raises DamagedRun."""
    where = os.path.join(path, FOLDER, program.file)
    files.no_links(path, os.path.dirname(where))
    try:
        data, _ = files.read_small(where, min(program.bytes, MAX_BYTES))
    except FileNotFoundError:
        raise DamagedRun("the file is missing", where) from None
    if len(data) != program.bytes:
        raise DamagedRun(f"{len(data):,} bytes, {program.bytes:,} were written", where)
    found = checksums.to_text(checksums.crc(data))
    if found != program.checksum:
        raise DamagedRun(f"its checksum is {found}, {program.checksum} was recorded", where)
    return data


def write(path: str | os.PathLike, document: Document, programs: Mapping[str, Mapping[str, bytes]]) -> None:
    """Put functions into the run in `path`, in place of those that it carries.

    document: without programs; programs: {function: {program: bytes}}. Raises DiskFull, NotWritable, and
    DamagedRun where a link is in the way.
    """
    folder = os.path.join(path, FOLDER)
    files.make_folders(path, folder)
    carried = {}
    for name, parts in programs.items():
        listed = {}
        for part, data in parts.items():
            checksum = checksums.to_text(checksums.crc(data))
            program = Program(f"{name}.{part}.{checksum}", len(data), checksum)
            files.replace_file(os.path.join(folder, program.file), data)
            listed[part] = program
        carried[name] = document.functions[name]._replace(programs=listed)
    document = document._replace(functions=carried)
    sealed = checksums.sealed(checksums.placed({"schema": SCHEMA, **_as_json(document)}), indent=1)
    if len(sealed) > files.MAX_DOCUMENT_BYTES:
        raise ValueError(f"the description of the functions has {len(sealed):,} bytes")
    files.replace_file(os.path.join(folder, FILE), sealed)
    kept = {program.file for each in carried.values() for program in each.programs.values()}
    for name in os.listdir(folder):
        if name not in kept and (_FILE_NAME.fullmatch(name) or name.endswith(".tmp")):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))


def function(document: Document, name: str) -> Carried:
    """The function of that name. Raises UnknownName."""
    if name not in document.functions:
        raise UnknownName(f"the run carries no function '{name}'.{nearest(name, document.functions)}")
    return document.functions[name]


def _as_json(document):
    trees = {name: [leaf._asdict() for leaf in leaves] for name, leaves in document.trees.items()}
    functions = {
        name: {
            "takes": carried.takes,
            "gives": carried.gives,
            "platform": carried.platform,
            "lengths": carried.lengths,
            "programs": {part: program._asdict() for part, program in carried.programs.items()},
        }
        for name, carried in document.functions.items()
    }
    return {**document._asdict(), "trees": trees, "functions": functions}


def _parsed(document):
    trees = {_matching(_NAME, name): _leaves(leaves) for name, leaves in document["trees"].items()}
    functions = {_matching(_NAME, name): _carried(one, trees) for name, one in document["functions"].items()}
    notes = tuple(_kind(str, note)[:1000] for note in _kind(list, document["notes"])[:100])
    return Document(
        _matching(_JAX, document["jax"]),
        _matching(_JAX, document["date"]),
        _kind(bool, document["x64"]),
        trees,
        functions,
        notes,
        {_matching(_NAME, name): _fact(fact) for name, fact in _kind(dict, document["facts"]).items()},
    )


def _fact(fact):
    """A yes or no, or a list of texts."""
    if isinstance(fact, bool):
        return fact
    if len(_kind(list, fact)) > MAX_LEAVES:
        raise ValueError(f"{len(fact):,} texts")
    return tuple(_kind(str, text) for text in fact)


def _carried(one, trees):
    takes = tuple(_kind(list, one["takes"]))
    gives = one["gives"]
    for tree in (*takes, gives):
        if tree not in trees:
            raise ValueError(f"no tree {str(tree)[:40]!r}")
    programs = {}
    for part, program in _kind(dict, one["programs"]).items():
        size = _kind(int, program["bytes"])
        if not 0 < size <= MAX_BYTES:
            raise ValueError(f"a program of {size:,} bytes, at most {MAX_BYTES:,} are possible")
        programs[_matching(_NAME, part)] = Program(
            _matching(_FILE_NAME, program["file"]),
            size,
            _kind(str, program["checksum"]),
        )
    lengths = tuple(_length(size) for size in _kind(list, one["lengths"]))
    if len(lengths) != sum(leaf.shape.count(None) for tree in takes for leaf in trees[tree]):
        raise ValueError(f"{len(lengths)} lengths")
    return Carried(takes, gives, programs, _matching(_NAME, one["platform"]), lengths)


def _leaves(leaves):
    if len(_kind(list, leaves)) > MAX_LEAVES:
        raise ValueError(f"{len(leaves):,} leaves, at most {MAX_LEAVES:,} are possible")
    found = tuple(_leaf(leaf) for leaf in leaves)
    places = {leaf.path for leaf in found}
    above = {path[:depth] for path in places for depth in range(len(path))}
    if len(places) < len(found) or places & above:
        raise ValueError("two leaves at one place")
    return found


def _leaf(leaf):
    path, shape = _kind(list, leaf["path"]), _kind(list, leaf["shape"])
    if len(path) > MAX_DEPTH or len(shape) > MAX_RANK:
        raise ValueError(f"a place of {len(path)} words, a shape of {len(shape)} axes")
    for size in shape:
        if size is not None:
            _length(size)
    if math.prod(size or 1 for size in shape) >= 1 << 40:
        raise ValueError(f"an array of shape {shape}")
    key = leaf["key"]
    return Leaf(
        tuple(_kind(str, word) for word in path),
        tuple(shape),
        _dtype(leaf["dtype"]),
        None if key is None else _matching(_KEY, key),
    )


def _dtype(name):
    if _kind(str, name) not in DTYPES:
        raise ValueError(f"dtype {name[:40]!r}, possible are {', '.join(DTYPES)}")
    return name


def _length(size):
    if not 0 <= _kind(int, size) < 1 << 40:
        raise ValueError(f"an axis of length {size}")
    return size


def _kind(kind, value):
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected, found {type(value).__name__}")
    return value


def _matching(pattern, text):
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError(f"{str(text)[:40]!r} is no such name")
    return text
