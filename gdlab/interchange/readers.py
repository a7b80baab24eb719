"""Rows of CSV, JSON lines and Parquet files, each with its bounds."""

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gdlab.interchange.documents import loads
from gdlab.interchange.files import Opened
from gdlab.interchange.source import Unreadable

MOST_LINE = 1 << 20  # characters
MOST_COLUMNS = 10_000
MOST_ROWS = 1 << 24
MOST_UNPACKED = 4 << 30  # bytes of a Parquet file when it is unpacked
_MOST_RATIO = 2000  # of unpacked to packed: numbers that are all alike reach some hundreds
MOST_TEXTS = 256 << 20  # bytes of all texts in a group of rows, each different one counted once
MOST_CELL = 1 << 19  # bytes of a text: no hyper-parameter is longer
_SAMPLE = 1000  # rows of JSON lines whose names count as columns
_MOST_CELLS = 1 << 22  # that are Python's at a time


class Reader(NamedTuple):
    """columns: (path) -> names; rows: (path) -> one dict a row."""

    columns: Callable[[Path], list[str]]
    rows: Callable[[Path], Iterator[dict[str, Any]]]


def suffix_of(path: Path) -> str:
    """The kind of a file: ".csv", ".jsonl" or ".parquet"; "" for any other."""
    suffix = path.suffix.lower()
    return {".tsv": ".csv", ".ndjson": ".jsonl"}.get(suffix, suffix if suffix in READERS else "")


def _lines(path) -> Iterator[str]:
    """The lines of a text, none of them without end."""
    rest = ""
    with Opened(path) as file:
        decoder = io.IncrementalNewlineDecoder(_utf8(), translate=True)
        while True:
            data = file.read()
            rest += decoder.decode(data, final=not data)
            if not data:
                break
            lines = rest.split("\n")
            rest = lines.pop()
            yield from lines
            if len(rest) > MOST_LINE:
                raise Unreadable(f"a line of more than {MOST_LINE:,} characters")
    if rest:
        yield rest


def _utf8():
    import codecs

    return codecs.getincrementaldecoder("utf-8-sig")("replace")


def _csv_rows(path):
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    lines = _lines(path)
    try:
        for number, row in enumerate(csv.reader((f"{line}\n" for line in lines), delimiter=delimiter), 1):
            if len(row) > MOST_COLUMNS:
                raise Unreadable(f"line {number} has more than {MOST_COLUMNS:,} columns")
            if number > MOST_ROWS:
                raise Unreadable(f"more than {MOST_ROWS:,} rows")
            yield row
    except csv.Error as error:
        raise Unreadable(f"is no CSV: {error}") from None


def _csv_columns(path):
    names = next(_csv_rows(path), None)
    if not names:
        raise Unreadable("has no line with the names of its columns")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(f"has two columns {twice!r:.60}")
    return names


def _csv_dicts(path):
    names = _csv_columns(path)
    for number, row in enumerate(itertools.islice(_csv_rows(path), 1, None), 2):
        if row and len(row) != len(names):
            raise Unreadable(f"row {number} has {len(row)} cells, where {len(names)} columns are named")
        if row:
            yield dict(zip(names, row, strict=True))


def _json_dicts(path):
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = loads(line)
        except ValueError as error:
            raise Unreadable(f"line {number} is no JSON: {str(error)[:120]}") from None
        if not isinstance(row, dict):
            raise Unreadable(f"line {number} is no object")
        if len(row) > MOST_COLUMNS or number > MOST_ROWS:
            raise Unreadable(f"more than {MOST_COLUMNS:,} names in a line, or {MOST_ROWS:,} lines")
        yield row


def _json_columns(path):
    names: dict[str, None] = {}
    for row in itertools.islice(_json_dicts(path), _SAMPLE):
        names |= dict.fromkeys(row)
    return list(names)


def _parquet(path):
    """An open Parquet file whose promises are kept within the bounds; its texts are read as what they lie as,
    each different one once, however many rows have it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with Opened(path):  # a regular file
        pass
    try:
        file = pq.ParquetFile(path, memory_map=False, thrift_string_size_limit=64 << 20)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(f"is no Parquet file: {str(error)[:200]}") from None
    facts = file.metadata
    groups = range(facts.num_row_groups)
    unpacked = sum(facts.row_group(group).total_byte_size for group in groups)
    if facts.num_rows > MOST_ROWS or facts.num_columns > MOST_COLUMNS:
        raise Unreadable(f"{facts.num_rows:,} rows of {facts.num_columns:,} columns: more than are read")
    if unpacked > min(MOST_UNPACKED, _MOST_RATIO * max(path.stat().st_size, 1 << 16)):
        raise Unreadable(f"would unpack to {unpacked:,} bytes")
    places = range(facts.num_columns)
    texts = [place for place in places if facts.schema.column(place).physical_type == "BYTE_ARRAY"]
    for group in groups:
        parts = facts.row_group(group)
        size = sum(parts.column(place).total_uncompressed_size for place in texts)
        if size > MOST_TEXTS:
            raise Unreadable(
                f"has {size:,} bytes of texts in {parts.num_rows:,} rows: {MOST_TEXTS:,} are read"
            )
    paths = [facts.schema.column(place).path for place in texts]
    return pq.ParquetFile(path, memory_map=False, metadata=facts, read_dictionary=paths)


def _parquet_columns(path):
    names = _parquet(path).schema_arrow.names
    if len(set(names)) != len(names):
        raise Unreadable("has two columns of one name")
    return names


def _parquet_dicts(path):
    import pyarrow as pa

    file = _parquet(path)
    read = [field.name for field in file.schema_arrow if _is_cell(field.type)]
    rows = min(1 << 14, _MOST_CELLS // max(len(read), 1))
    try:
        for batch in file.iter_batches(batch_size=rows, columns=read):
            columns = [_cells(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                yield dict(zip(batch.schema.names, row, strict=True))
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"is damaged: {str(error)[:200]}") from None


def _is_cell(kind):
    """Whether a column has numbers, times or texts."""
    import pyarrow as pa

    of = pa.types
    if of.is_dictionary(kind):
        kind = kind.value_type
    tests = (
        of.is_boolean, of.is_integer, of.is_floating, of.is_decimal, of.is_temporal, of.is_null, of.is_string,
        of.is_large_string,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _cells(column):
    """Values as Python has them; a time in seconds since 1970."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        if not isinstance(column.dictionary, (pa.StringArray, pa.LargeStringArray)):
            return _cells(column.dictionary_decode())
        texts = {
            place: _text(column.dictionary[place]) for place in set(column.indices.drop_null().to_pylist())
        }
        return [texts.get(place) for place in column.indices.to_pylist()]
    if pa.types.is_timestamp(column.type):
        whole = column.cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
        return [None if one is None else one / 1e6 for one in whole]
    return [str(one) if _is_odd(one) else one for one in column.to_pylist()]


def _text(scalar):
    """A text, None for one that is longer than any is kept."""
    data = scalar.as_buffer()
    return None if data is None or len(data) > MOST_CELL else bytes(data).decode("utf-8", "replace")


def _is_odd(value):
    return not (value is None or isinstance(value, (bool, int, float, str)))


READERS = {
    ".csv": Reader(_csv_columns, _csv_dicts),
    ".jsonl": Reader(_json_columns, _json_dicts),
    ".parquet": Reader(_parquet_columns, _parquet_dicts),
}
