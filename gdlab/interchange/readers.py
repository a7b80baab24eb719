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
_SAMPLE = 1000  # rows of JSON lines whose names count as columns


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
    """An open Parquet file whose promises are kept within the bounds."""
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
    return file


def _parquet_columns(path):
    names = _parquet(path).schema_arrow.names
    if len(set(names)) != len(names):
        raise Unreadable("has two columns of one name")
    return names


def _parquet_dicts(path):
    import pyarrow as pa

    file = _parquet(path)
    kinds = pa.types
    read = [
        field.name
        for field in file.schema_arrow
        if not (
            kinds.is_nested(field.type) or kinds.is_binary(field.type) or kinds.is_large_binary(field.type)
        )
    ]
    try:
        for batch in file.iter_batches(batch_size=1 << 14, columns=read):
            columns = [_cells(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                yield dict(zip(batch.schema.names, row, strict=True))
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(f"is damaged: {str(error)[:200]}") from None


def _cells(column):
    """Values as Python has them; a time in seconds since 1970."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        whole = column.cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
        return [None if one is None else one / 1e6 for one in whole]
    return [str(one) if _is_odd(one) else one for one in column.to_pylist()]


def _is_odd(value):
    return not (value is None or isinstance(value, (bool, int, float, str)))


READERS = {
    ".csv": Reader(_csv_columns, _csv_dicts),
    ".jsonl": Reader(_json_columns, _json_dicts),
    ".parquet": Reader(_parquet_columns, _parquet_dicts),
}
