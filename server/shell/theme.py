"""Bokeh's own theme for light and dark: `theme.yaml` is light, dark is the same with other colours.

It reaches the axes, grids, titles and legends that no view has painted; glyphs are painted by
`Context.paint`.
"""

from functools import cache
from pathlib import Path

import yaml
from bokeh.themes import Theme

from server.core.palette import DARK, LIGHT

THEME_FILE = Path(__file__).parents[1] / "theme.yaml"
ROLES = ("card", "ink", "muted", "line", "axis", "grid")


def apply(doc, dark: bool) -> None:
    """Restyles whatever the document holds now and later."""
    doc.theme = bokeh_theme(dark)


@cache
def bokeh_theme(dark: bool) -> Theme:
    """Bokeh's theme with the colours of light or dark put in."""
    text = THEME_FILE.read_text(encoding="utf-8")
    if dark:
        for role in ROLES:
            text = text.replace(getattr(LIGHT, role), getattr(DARK, role))
    return Theme(json=yaml.safe_load(text))
