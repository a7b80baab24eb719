"""Stylesheets of pages: what they need beyond the sheet that every widget has (`context.sheet`)."""

from functools import cache
from pathlib import Path

from bokeh.models import InlineStyleSheet

STATIC = Path(__file__).parents[1] / "static"


def sheet(*names: str) -> InlineStyleSheet:
    """One stylesheet of the files static/NAME.css."""
    return InlineStyleSheet(css="\n".join(map(_read, names)))


def wear(sheet_: InlineStyleSheet, *layouts) -> None:
    """Gives layouts and widgets a sheet after those that they have."""
    for layout in layouts:
        layout.stylesheets = [*layout.stylesheets, sheet_]


@cache
def _read(name: str) -> str:
    return (STATIC / f"{name}.css").read_text(encoding="utf-8")
