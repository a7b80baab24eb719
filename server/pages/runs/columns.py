"""The columns of the run list: what is in them, how it is written, how it is sorted.

Cells are data of unknown origin: they pass through `<%- %>`, which escapes.
"""

import math

from bokeh.models import HTMLTemplateFormatter, TableColumn

from server.core import hyper, run_text

# gdlab.* is `static/shell.js`; `value` is the cell's.
NAME = '<span class="gd-open" title="<%- value %>"><%- value %></span>'
STATE = '<span class="gd-state gd-state-<%- value %>"><%- value %></span>'
NUMBER = '<span class="gd-number"><%- gdlab.number(value) %></span>'
TEXT = '<span title="<%- value %>"><%- value %></span>'
SPAN = '<span class="gd-number"><%- gdlab.duration(value) %></span>'
WHEN = '<span class="gd-number" title="<%- gdlab.when(value, true) %>"><%- gdlab.when(value) %></span>'

WIDEST = 160  # px of a column whose words are long
EXACT = 2**53  # the largest integer up to which the browser knows all

HEAD = '<span class="gd-number">{}</span>'  # above numbers, which stand at the right

FIXED = (
    ("name", "Name", NAME, 300),
    ("state", "State", STATE, 100),
    ("iterations", "Iterations", NUMBER, 88),
    ("first", "First error", NUMBER, 94),
    ("final", "Final error", NUMBER, 94),
    ("best", "Best error", NUMBER, 94),
    ("seconds", "Duration", SPAN, 84),
    ("started", "Started", WHEN, 120),
)
LAST = (("note", "Note", TEXT, 320),)


def columns(parameters: list[str], cells=None) -> list[TableColumn]:
    """Name and state, what was measured, the hyper-parameters that differ, and what went wrong.

    cells: as of `data`; what a config group is set to is as wide as its words, up to WIDEST.
    """
    short = hyper.short_names(parameters)
    words = {name: max(map(_length, (cells or {}).get(f"p.{name}", ())), default=0) for name in parameters}
    wide = {name: min(8 * max(len(short[name]), words[name]) + 16, WIDEST) for name in parameters}
    differing = [
        (f"p.{name}", short[name], TEXT, max(80, 8 * len(short[name]) + 16, wide[name]))
        for name in parameters
    ]
    return [
        TableColumn(
            field=field,
            title=HEAD.format(_escaped(title)) if "gd-number" in template else _escaped(title),
            formatter=HTMLTemplateFormatter(template=template),
            default_sort="descending" if field in ("iterations", "started") else "ascending",
            width=width,
            name=f"column_{field}",
        )
        for field, title, template, width in (*FIXED, *differing, *LAST)
    ]


def titles(parameters: list[str]) -> list[str]:
    """The columns' titles as plain text."""
    short = hyper.short_names(parameters)
    parts: tuple[tuple, ...] = (*FIXED, *((name, short[name]) for name in parameters), *LAST)
    return [part[1] for part in parts]


def data(names, summaries, parameters: list[str], *, flat=None) -> dict[str, list]:
    """{field: cells}; numbers stay numbers, what is missing is NaN or "", errors are notes.

    flat: of each run its `hyper.described`, where that is known.
    """
    facts = [summary if isinstance(summary, dict) else {} for summary in summaries]
    if flat is None:
        flat = [hyper.described(fact.get("hyperparameters", {})) for fact in facts]
    cells = {
        "name": list(names),
        "state": [run_text.state(summary) for summary in summaries],
        "iterations": [_number(fact.get("iterations")) for fact in facts],
        "first": [_number(fact.get("first_loss")) for fact in facts],
        "final": [_number(fact.get("final_loss")) for fact in facts],
        "best": [_number(fact.get("best_loss")) for fact in facts],
        "seconds": [_number(fact.get("seconds")) for fact in facts],
        "started": [_number(fact.get("started")) for fact in facts],
        "note": [run_text.note(summary) for summary in summaries],
    }
    for name in parameters:
        cells[f"p.{name}"] = [_cell(values[name]) if name in values else "" for values in flat]
    cells["search"] = list(map(run_text.searched, names, summaries, flat))
    return cells


def _length(cell) -> int:
    return len(cell) if isinstance(cell, str) else 0


def _escaped(text: str) -> str:
    """A column's title is read as HTML, and hyper-parameters are data."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _number(value) -> float:
    try:
        return float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:  # an integer of hundreds of digits
        return math.nan


def _cell(value):
    """Numbers sort as numbers; everything else is text, integers that are no numbers of the browser, too."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return hyper.value(value)
    return value if isinstance(value, float) or abs(value) <= EXACT else _long(value)


def _long(value: int) -> str:
    """An integer as text, its middle left out where it is very long."""
    digits = str(value) if abs(value) < 10**40 else f"about 1e{int(math.log10(abs(value)))}"
    return digits if value > 0 or digits.startswith("-") else f"-{digits}"
