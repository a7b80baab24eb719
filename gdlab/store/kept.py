"""What a recorded loop's run keeps of parameters: one sealed file for each moment, which is never changed.

    points/K    theta_K, a point of the path            moments/K  theta_K, theta_{K+1}, the batch of
    iteration K states/K    the whole state before iteration K      examples/train, examples/test

A file is a line with the length of a header, the header (JSON with its own checksum: for each leaf of each
tree its place, dtype, shape and the checksum of its bytes), and the leaves, each from a multiple of ALIGN on.
Thinning is the removal of files, so nothing is ever copied and the peak is the sum of what is there.

A folder may come from a stranger: only regular files of the size that their header says are read, and neither
sizes nor names are believed.
"""

import contextlib
import math
import os
import re
from typing import NamedTuple

import numpy as np

from gdlab.store import checksums, files
from gdlab.store.errors import DamagedRun

POINTS, MOMENTS, STATES, EXAMPLES = "points", "moments", "states", "examples"
KINDS = (POINTS, MOMENTS, STATES, EXAMPLES)
ALIGN = 64
MOST_BYTES = 1 << 36  # of a file
MOST_FILES = 1 << 16  # of a kind
_SCHEMA = 1
_FIRST = b"gdlab tree %010d\n"
_LINE = re.compile(rb"gdlab tree (\d{10})\n")
_NUMBER = re.compile(r"0|[1-9]\d{0,15}")
_PARTS = ("train", "test")
_MOST_HEADER = 16 << 20
_MOST_AXES = 32
_KEYS = re.compile(r"[a-z0-9_]{1,32}")
_DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
    "float64", "complex64", "complex128",
)  # fmt: skip
_ML_DTYPES = (
    "bfloat16", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz",
    "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu", "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn",
    "int1", "int2", "int4", "uint1", "uint2", "uint4",
)  # fmt: skip


class Leaf(NamedTuple):
    """A leaf of a pytree. place: the words of its path; array: its values; key: of a random key, whose data
    are
    in `array`, the name of its kind ("threefry2x32"), else None."""

    place: tuple[str, ...]
    array: np.ndarray
    key: str | None = None


class Kept(NamedTuple):
    """A file. trees: {name: [Leaf]}; facts: plain values that were kept with them."""

    trees: dict[str, list[Leaf]]
    facts: dict


def write(root, kind, name, trees, facts=None):
    """Keep {tree: [Leaf]} as `kind`/`name` of the run folder `root`, in the place of what was there.

    Returns the bytes it takes. Raises DiskFull, NotWritable, DamagedRun (a link); ValueError: a dtype that
    cannot be kept.
    """
    path = _path(root, kind, name)
    described, parts, offset = {}, [], 0
    for tree, leaves in trees.items():
        described[tree] = []
        for leaf in leaves:
            array = np.asarray(leaf.array, order="C")
            if not is_kept(array.dtype):
                raise ValueError(f"{'/'.join(leaf.place)}: values of dtype {array.dtype} cannot be kept")
            data = _bytes(array)
            described[tree].append(_described(leaf, array, checksums.to_text(checksums.crc(data))))
            parts.append((offset, data))
            offset = _aligned(offset + array.nbytes)
    document = {"schema": _SCHEMA, "kind": kind, "name": str(name), "facts": facts or {}, "trees": described}
    header = checksums.sealed(checksums.placed(document))
    if len(header) > _MOST_HEADER:
        raise ValueError(f"{len(header):,} bytes to say which leaves there are; {_MOST_HEADER:,} are kept")
    line = _FIRST % len(header)
    start = _aligned(len(line) + len(header))
    files.make_folders(root, os.path.dirname(path))
    files.replace_in_parts(path, [(0, line + header), *((start + at, data) for at, data in parts)])
    return start + max((at + len(data) for at, data in parts), default=0)


def read(root, kind, name, expected=None):
    """The Kept in `kind`/`name`; FileNotFoundError where there is none, DamagedRun says what is wrong with
    it.

    expected: {tree: leaves with a shape and the name of a dtype}: where one of these trees is another, that
    is said before any value is read, and takes no memory.
    """
    path = _path(root, kind, name)
    files.no_links(root, os.path.dirname(path))
    fd, stat = files.open_regular(path)
    try:
        document, start = _header(fd, stat.st_size, path)
        _check_is(document, kind, name, path)
        specs = {tree: [_spec(item, path) for item in items] for tree, items in document["trees"].items()}
        _check_size(specs, start, stat.st_size, path)
        _check_expected(specs, expected or {}, path)
        files.check_taken(stat, path)
        trees, offset = {}, start
        for tree, leaves in specs.items():
            trees[tree] = []
            for place, dtype, shape, key, crc in leaves:
                array = np.empty(shape, dtype)
                _fill(fd, array, offset, path)
                if checksums.to_text(checksums.crc(_bytes(array))) != crc:
                    raise DamagedRun(f"{tree}/{'/'.join(place)}: its checksum is not the recorded one", path)
                trees[tree].append(Leaf(place, array, key))
                offset = _aligned(offset + array.nbytes)
    finally:
        os.close(fd)
    return Kept(trees, document["facts"])


def shapes(root, kind, name):
    """{tree: [(place, dtype, shape, key)]} and the facts of a file, whose values are not read."""
    path = _path(root, kind, name)
    files.no_links(root, os.path.dirname(path))
    fd, stat = files.open_regular(path)
    try:
        document, start = _header(fd, stat.st_size, path)
    finally:
        os.close(fd)
    _check_is(document, kind, name, path)
    specs = {tree: [_spec(item, path) for item in items] for tree, items in document["trees"].items()}
    _check_size(specs, start, stat.st_size, path)
    return {tree: [leaf[:4] for leaf in leaves] for tree, leaves in specs.items()}, document["facts"]


def names(root, kind):
    """What is kept of a kind, ascending: iterations (ints) of points, moments and states, else parts (texts).

    Other files are passed over. DamagedRun where the folder is a link, or holds more than MOST_FILES.
    """
    folder = os.path.join(root, kind)
    files.no_links(root, folder)
    found: list = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number > MOST_FILES:
                    raise DamagedRun(f"more than {MOST_FILES:,} files", folder)
                if kind == EXAMPLES and entry.name in _PARTS:
                    found.append(entry.name)
                elif kind != EXAMPLES and _NUMBER.fullmatch(entry.name):
                    found.append(int(entry.name))
    except FileNotFoundError:
        return []
    return sorted(found)


def remove(root, kind, name):
    """Keep `kind`/`name` no longer; silent where it is not there."""
    path = _path(root, kind, name)
    files.no_links(root, os.path.dirname(path))
    with files.writing(path), contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def size(root, kind, name):
    """Bytes that a file takes; 0 where there is none."""
    try:
        return os.lstat(_path(root, kind, name)).st_size
    except OSError:
        return 0


def nearest(numbers, wanted, count=6):
    """Those of ascending `numbers` that are nearest to `wanted`, ascending."""
    return sorted(sorted(numbers, key=lambda number: (abs(number - wanted), number))[:count])


def is_kept(dtype):
    """Whether values of a NumPy dtype can be kept."""
    return dtype.name in _DTYPES or dtype.name in _ML_DTYPES


def dtype_of(name):
    """The NumPy dtype of a name, of those that can be kept; ValueError for others."""
    if name in _DTYPES:
        return np.dtype(name)
    if name in _ML_DTYPES:
        import ml_dtypes

        if hasattr(ml_dtypes, name):  # as it depends on its age
            return np.dtype(getattr(ml_dtypes, name))
    raise ValueError(f"dtype {name!r:.80}")


def _path(root, kind, name):
    if kind not in KINDS or not (name in _PARTS if kind == EXAMPLES else _NUMBER.fullmatch(str(name))):
        raise ValueError(f"{kind}/{name} is nothing that a run keeps")
    return os.path.join(root, kind, str(name))


def _described(leaf, array, crc):
    item = {"place": list(leaf.place), "dtype": array.dtype.name, "shape": list(array.shape), "crc": crc}
    return item if leaf.key is None else {**item, "key": leaf.key}


def _bytes(array):
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _aligned(offset):
    return -(-offset // ALIGN) * ALIGN


def _header(fd, size, path):
    """(the header, where the leaves begin)."""
    if size > MOST_BYTES:
        raise DamagedRun(f"{size:,} bytes, at most {MOST_BYTES:,} are possible", path)
    length = len(_FIRST % 0)
    found = _LINE.fullmatch(os.pread(fd, length, 0))
    if found is None or not 0 < int(found[1]) <= min(size - length, _MOST_HEADER):
        raise DamagedRun("it does not begin as such a file does", path)
    data = os.pread(fd, int(found[1]), length)
    if not checksums.is_sealed(data, path):
        raise DamagedRun("its checksum is missing", path)
    document = files.parse_json(data, path)
    if document.get("schema") != _SCHEMA:
        raise DamagedRun(f"schema version {document.get('schema')!r:.80}", path)
    trees, facts = document.get("trees"), document.get("facts")
    if not (isinstance(trees, dict) and all(isinstance(t, list) for t in trees.values())):
        raise DamagedRun("its trees are not listed", path)
    if not isinstance(facts, dict):
        raise DamagedRun("its facts are none", path)
    return document, _aligned(length + len(data))


def _check_is(document, kind, name, path):
    """A file that was put in another's place has a good checksum all the same."""
    if (document.get("kind"), document.get("name")) != (kind, str(name)):
        said = f"{document.get('kind')}/{document.get('name')}"
        raise DamagedRun(f"it is that of {said:.80}", path)


def _spec(item, path):
    """(place, dtype, shape, key, checksum) of a leaf."""
    if not isinstance(item, dict):
        raise DamagedRun("a leaf is not described", path)
    place, shape, key, crc = (item.get(name) for name in ("place", "shape", "key", "crc"))
    place, shape = ([] if value is None else value for value in (place, shape))
    whole = isinstance(shape, list) and len(shape) <= _MOST_AXES
    whole = whole and all(type(n) is int and 0 <= n <= MOST_BYTES for n in shape)
    named = isinstance(place, list) and all(isinstance(word, str) for word in place)
    keyed = key is None or (isinstance(key, str) and _KEYS.fullmatch(key))
    try:
        dtype = dtype_of(item.get("dtype"))
    except (ValueError, TypeError):
        dtype = None
    # NumPy counts an axis of length 0 in this way, too.
    whole = whole and dtype is not None and dtype.itemsize * math.prod(n or 1 for n in shape) <= MOST_BYTES
    if dtype is None or not (whole and named and keyed and isinstance(crc, str)):
        raise DamagedRun(f"a leaf is described as {item!r:.200}", path)
    return tuple(place), dtype, tuple(shape), key, crc


def _check_size(specs, start, size, path):
    """DamagedRun where the leaves that a header tells of are not what the file has room for."""
    end = offset = start
    for leaves in specs.values():
        for _, dtype, shape, _, _ in leaves:
            taken = dtype.itemsize * math.prod(shape)
            end = offset + taken if taken else end
            offset = _aligned(offset + taken)
            if offset > MOST_BYTES:
                raise DamagedRun("its leaves are larger than a file may be", path)
    # A file without values ends with its header.
    if size != end and not (end == start and start - ALIGN < size <= start):
        raise DamagedRun(f"{size:,} bytes, {end:,} are expected", path)


def _check_expected(specs, expected, path):
    for tree, leaves in specs.items():
        if tree in expected:
            found = [(shape, dtype.name) for _, dtype, shape, _, _ in leaves]
            if found != [(tuple(leaf.shape), leaf.dtype) for leaf in expected[tree]]:
                raise DamagedRun(f"its {tree} is not what the functions of the run take", path)


def _fill(fd, array, offset, path):
    view, done = memoryview(array.reshape(-1).view(np.uint8)), 0
    while done < len(view):
        count = os.preadv(fd, [view[done : done + (1 << 30)]], offset + done)
        if count == 0:
            raise DamagedRun("it ends before its last value", path)
        done += count
