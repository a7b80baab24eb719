"""Every colour of the page, once for light and once for dark.

A view never writes a colour: it names a role ("segment", "dot", "muted"), and the context paints
the role of the theme in force, so that a change of theme reaches every glyph at once. The hues of
the categories can be told apart by colour-blind readers; the roles of the line search are those of
Becker 2019 (orange dots, dark segments, magenta interpolant, light blue interval).

Where there are more runs than categories the colours of `further` follow. Each is the one farthest
(CIEDE2000, also as seen with protanopia and deuteranopia) from all before it, so that few runs differ most.
"""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Palette:
    """Colours as CSS strings; `categories` six of them, `runs` as many as a page shows runs, `horizon` three
    bands a hue, maps 256 or fewer."""

    dark: bool
    page: str
    card: str
    ink: str
    muted: str
    line: str
    axis: str
    grid: str
    accent: str
    context: str  # what lies behind: raw curves
    descent: str  # the thick line where a new descent begins
    dot: str
    segment: str
    interpolant: str
    interval: str
    current: str
    following: str
    noise: str
    good: str
    warning: str
    bad: str
    categories: tuple[str, ...]
    further: tuple[str, ...]  # of runs, after those of the categories
    horizon: tuple[str, str, str]
    horizon_below: tuple[str, str, str]  # its second hue, for values below 0

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """Colours of runs, those first that differ most."""
        return (*self.categories, *self.further)

    @cached_property
    def magnitudes(self) -> tuple[str, ...]:
        """Map for values from small (page-like) to large; 256 colours."""
        import colorcet

        colours = tuple(colorcet.palette["CET_L17"])
        return colours[::-1] if self.dark else colours

    @cached_property
    def cells(self) -> tuple[str, ...]:
        """The map of magnitudes without the end that drowns in the card: for cells that stand alone on it."""
        return self.magnitudes if self.dark else self.magnitudes[44:]

    @cached_property
    def signed(self) -> tuple[str, ...]:
        """Diverging map, to be centred on 0; 256 colours."""
        import colorcet

        return tuple(colorcet.palette["CET_D1A"])

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Map for ordered lines: Viridis without the end that drowns in the card's colour."""
        from bokeh.palettes import Viridis256

        return tuple(Viridis256[48:] if self.dark else Viridis256[:216])

    def colour(self, role) -> str:
        """The colour of a role: an attribute's name, or a function of the palette."""
        return role(self) if callable(role) else getattr(self, role)


_FURTHER_LIGHT = """
#990033 #3300d6 #006666 #8f70ff #5c2966 #d65c5c #c20a00 #99b87a #c22985 #144729 #cc9999
#855252 #a30aff #70703d #708fcc #29b8c2 #003d99 #7a1400 #e08f52 #666685 #663347 #3d6600
#5c8f85 #528f29 #33c2a3 #f53d7a #c229c2 #8f7099 #1f5c70 #991f5c #70855c #008570 #f500f5
#5c99a3 #ff85cc #006647 #c21f5c #1fb852 #7a5c99 #523db8 #702929 #996670 #a39933 #70b8ad
"""
_FURTHER_DARK = """
#c2335c #007a66 #d6f5c2 #9947b8 #8f6600 #a3ffff #8f7a99 #ff7a85 #ff3db8 #8f8f66 #f59900
#d6ccff #e0ff00 #e03d3d #f5c2c2 #6647ff #f5c28f #7aada3 #ad707a #33f5d6 #0099b8 #3d708f
#f5f599 #b8b85c #cc0a85 #66ccd6 #707a3d #85a35c #ff85ff #0a7ae0 #3d7a85 #008fcc #8fccad
#5c8f85 #ffb800 #c27000 #d6a399 #66a37a #85a3cc #66eba3 #b86652 #b885a3 #528566 #e00000
"""

LIGHT = Palette(
    dark=False,
    page="#f6f7f9",
    card="#ffffff",
    ink="#1d2430",
    muted="#5b6472",
    line="#e1e5ea",
    axis="#c9ced6",
    grid="#eceff3",
    accent="#0072b2",
    context="#b8bfc9",
    descent="#8a93a1",
    dot="#e8710a",
    segment="#1d2430",
    interpolant="#c2189b",
    interval="#cfe6f5",
    current="#1d2430",
    following="#1d2430",
    noise="#9a6700",
    good="#00805e",
    warning="#9a6700",
    bad="#b42318",
    categories=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    further=tuple(_FURTHER_LIGHT.split()),
    horizon=("#c6dbef", "#6baed6", "#08519c"),
    horizon_below=("#fdd5ae", "#f0954a", "#9c4a06"),
)

DARK = Palette(
    dark=True,
    page="#12151a",
    card="#1a1e25",
    ink="#e6e9ee",
    muted="#9aa4b2",
    line="#2c323b",
    axis="#434b57",
    grid="#282e37",
    accent="#56b4e9",
    context="#4d5664",
    descent="#6b7685",
    dot="#ff9a3d",
    segment="#c8ced8",
    interpolant="#f06ad0",
    interval="#1e4058",
    current="#e6e9ee",
    following="#e6e9ee",
    noise="#e3b341",
    good="#2fbf93",
    warning="#e3b341",
    bad="#f97066",
    categories=("#56b4e9", "#e8743b", "#2fbf93", "#e3a3c9", "#f5d061", "#7d86f0"),
    further=tuple(_FURTHER_DARK.split()),
    horizon=("#17324d", "#2a6aa8", "#8ac2f7"),
    horizon_below=("#47290f", "#a85c1c", "#f7bd82"),
)


def palette(dark: bool) -> Palette:
    """The theme's colours."""
    return DARK if dark else LIGHT
