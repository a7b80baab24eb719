"""Tables that are not one row a step and one column a metric, turned into such.

A chart that Weights & Biases has exported:     Step,run a - loss,run a - loss__MIN,run b - loss
One row a number, as in frames of TensorBoard:  run,tag,step,value
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gdlab.interchange.readers import Reader

_BETWEEN = " - "
_EDGES = ("__MIN", "__MAX")  # of the points that a chart has put together
_NAMES, _VALUES = ("tag", "key", "metric"), ("value",)
RUN = "run"


def shaped(reader: Reader, path: Path, steps: tuple[str, ...]) -> Reader:
    """The reader of a table, or one that turns its rows into rows of steps; steps: usual names of that
    column."""
    names = reader.columns(path)
    lower = {name.lower(): name for name in names}
    lines = {name: name.rsplit(_BETWEEN, 1) for name in names if _BETWEEN in name}
    step = next((lower[name] for name in steps if name in lower), None)
    if step is not None and lines and len(lines) == len(names) - 1:
        found = {name: parts for name, parts in lines.items() if not name.endswith(_EDGES)}
        columns = [step, RUN, *dict.fromkeys(metric for _, metric in found.values())]
        return Reader(lambda _: columns, partial(_of_chart, reader, step, found))
    tag = next((lower[name] for name in _NAMES if name in lower), None)
    value = next((lower[name] for name in _VALUES if name in lower), None)
    if step is not None and tag is not None and value is not None:
        columns = [name for name in names if name not in (tag, value)]
        return Reader(lambda _: columns, partial(_of_numbers, reader, tag, value))
    return reader


def _of_chart(reader, step, lines, path) -> Iterator[dict[str, Any]]:
    for row in reader.rows(path):
        for name, (run, metric) in lines.items():
            if row.get(name) not in (None, ""):
                yield {step: row.get(step), RUN: run, metric: row[name]}


def _of_numbers(reader, tag, value, path) -> Iterator[dict[str, Any]]:
    for row in reader.rows(path):
        rest = {name: one for name, one in row.items() if name not in (tag, value)}
        yield {**rest, str(row.get(tag)): row.get(value)}
