"""What the reader chose: how the surface is computed, against what it is compared, how it is drawn.

What differs from the default is in the address. An option that the chosen methods and plane ignore is not
shown.
"""

import math
from collections.abc import Callable
from typing import Any

from bokeh.models import Toggle

from gdlab.analysis.surface_options import CENTRES, DRAWS, ON, PLANES, UNCERTAINTIES
from gdlab.analysis.surfaces.weights import BEHIND, DISTANCES, METHODS
from server.ui import card, sheets
from server.ui.choices import Choice, Choices, button, checks, look

NONE = "none"
RESOLUTIONS = (5, 9, 17, 33, 65, 129)
REFINED = 0.25  # share of the lines that get neighbours
AVERAGES = ("averaged", "averaged_nd")
NAMES = {
    "pca": "PCA", "sampled": "sampled", "sampled_pca": "sampled with PCA", "averaged": "averaged",
    "averaged_nd": "averaged, all dimensions", "random": "random, filter-normalised",
    "checkpoints": "through iterations", "extremes": "mean of the extreme points", "mean": "mean of the path",
    "thesis": "as in the thesis", "train": "training set", "test": "test set", "plane": "of the centre",
    "y": "of y alone", "bootstrap": "of the examples", "dropout": "of dropout masks",
    "late": "of late parameters",
}  # fmt: skip
DRAWS_WORDS = (
    "Of dropout masks, or of late points; the bootstrap of a loss that is a mean over examples needs none. "
    "{low:,} to {high:,}"
)
# field: (key in the address, default, what is allowed, title, help)
CHOICES: dict[str, tuple[str, Any, Any, str, str]] = {
    "method": ("method", "averaged", METHODS, "", "How parameters are put at a point of the plane"),
    "plane": ("plane", "pca", PLANES, "Plane", "What the two directions are"),
    "through": ("through", "", None, "Iterations, two or three", "That the plane goes through"),
    "centre": ("centre", "extremes", CENTRES, "Centre", "Where the plane touches the path"),
    "resolution": ("lines", 17, list(RESOLUTIONS), "Lines a side", "More are slower, by the square"),
    "samples": ("examples", 10_000, (1, 10**9), "Examples at most", "That the loss is taken of"),
    "on": ("set", "train", ON, "Loss on", "What the loss is taken of"),
    "thin": ("thin", 1, (1, 10**6), "Every n-th path point", "1: every iteration counts"),
    "seed": ("seed", 0, (0, 10**9), "Seed", "Of random directions and draws"),
    "distance": ("metric", "euclidean", DISTANCES, "Distances", "How near a point of the path is"),
    "temperature": ("temperature", 1.0, (1e-6, 1e6), "Temperature", "Small: the nearest points count alone"),
    "offset": ("offset", False, None, "offset term", "Averages with the term M (g − p)"),
    "behind": ("behind", "plane", BEHIND, "Side of the path", "What is sampled beyond the plane"),
    "uncertainty": ("scatter", "bootstrap", UNCERTAINTIES, "Uncertainty", "What makes the loss uncertain"),
    "draws": ("draws", 64, DRAWS, "Draws", DRAWS_WORDS.format(low=DRAWS[0], high=DRAWS[1])),
    "refine": ("refine", False, None, "refine where it bends", "More lines where the surface bends"),
    "levels": ("levels", "auto", ("auto", "log", "linear"), "", ""),
    "clip": ("clip", True, None, "clip at 1.5 × the initial loss", "Higher losses have the same colour"),
    "contours": ("contours", True, None, "contours", "Lines of the same loss"),
    "path": ("path", True, None, "path", "Of the training"),
    "relief": ("relief", False, None, "relief", "Shaded as if lit from the side"),
}
METHOD_FIELDS = ("distance", "temperature", "offset", "behind")
DRAWN = ("clip", "contours", "path", "relief")  # the same surface in another way
COMPUTED = ("offset", "refine")


class Options(Choices):
    """The fields of CHOICES as attributes, and `other`, the second method (None: no second map).

    asked(): another surface is wanted; redrawn(): the same is to be drawn in another way.
    """

    def __init__(self, context, asked: Callable[[], None], redrawn: Callable[[], None]):
        self.context, self.asked, self.redrawn = context, asked, redrawn
        declared = {
            field: Choice(context, key, default, _labels(allowed), title=title, help=help)
            for field, (key, default, allowed, title, help) in CHOICES.items()
        }
        super().__init__(self._other, **declared)
        usual = self.method if len(context.selected) > 1 else NONE
        others = {NONE: "compare with …", **{name: f"with {NAMES[name]}" for name in METHODS}}
        words = "A second map beside the first"
        self._compared = Choice(
            context, "other", usual, others, help=words, changed=lambda value: self._other("other")
        )
        self._widgets: dict[str, Any] = {}
        panel = card.box(context, classes=["gd-options"], name="surface_options", visible=False)
        sheets.wear(sheets.sheet("curve"), panel)
        self.tools, self.panel = self._tools(), panel

    @property
    def other(self) -> str | None:
        """The method of the second map."""
        return None if self._compared.value == NONE else self._compared.value

    def probe(self, method: str, last: int | None = None) -> dict:
        """Keyword options of the probe for one method; last: the iteration up to which the path goes.

        Raises ValueError where the iterations that the plane goes through are no numbers.
        """
        through = _iterations(self.through) if self.plane == "checkpoints" else None
        fields = ("resolution", "samples", "on", "thin", "seed", "uncertainty", "draws")
        chosen = {name: getattr(self, name) for name in (*fields, "plane")}
        return {
            **chosen,
            **self.against(method),
            "checkpoints": through,
            "centre": self.centre if self.plane == "pca" else None,
            "refine": REFINED if self.refine else 0.0,
            "last": last,
        }

    def against(self, method: str) -> dict:
        """The options in which one method may differ from another."""
        return {"method": method, **{name: getattr(self, name) for name in METHOD_FIELDS}}

    def set_levels(self, log: bool) -> None:
        """Logarithmic or linear colours, whoever asked for it: button or key."""
        self["levels"].set("log" if log else "linear")

    # -- widgets ----------------------------------------------------------------------------------

    def _tools(self) -> list:
        context = self.context
        self.log = Toggle(label="Log", **look(context, "surface_log", "Logarithmic colours (l)", "gd-quiet"))
        self.log.on_click(self.set_levels)
        self.reset = button(context, "Reset", "surface_reset", "The whole map (double click)")
        words = "Plane, grid, examples, drawing"
        more = Toggle(label="Options", **look(context, "surface_more", words, "gd-quiet"))
        more.on_change("active", lambda attribute, old, new: self._show_panel(new))
        method = self["method"].select("surface_method", width=190)
        compare = self._compared.select("surface_other", width=190)
        return [method, compare, self.reset, self.log, more]

    def _show_panel(self, visible: bool) -> None:
        """Shows or hides the panel, whose widgets are made when it is first opened."""
        if visible and not self._widgets:
            self._fill_panel()
            self._show_what_counts()
        self.panel.visible = visible

    def _fill_panel(self) -> None:
        widths = {"plane": 170, "through": 150, "centre": 170, "resolution": 90, "samples": 110, "on": 120,
                  "thin": 130, "seed": 80, "distance": 120, "temperature": 100, "behind": 120,
                  "uncertainty": 160, "draws": 190}  # fmt: skip
        self._widgets = {field: self._widget(field, width) for field, width in widths.items()}
        first = ("plane", "through", "centre", "resolution", "samples", "on", "thin", "seed")
        computed, drawn = (
            checks(self.context, f"surface_{name}", [self[field] for field in fields])
            for name, fields in (("computed", COMPUTED), ("drawn", DRAWN))
        )
        rows = (
            [self._widgets[name] for name in first],
            [*(widget for name, widget in self._widgets.items() if name not in first), computed],
            [drawn],
        )
        self.panel.children = [card.row(self.context, *row, classes=["gd-options-row"]) for row in rows]
        sheets.wear(sheets.sheet("curve"), *self.panel.children, *(widget for row in rows for widget in row))

    def _widget(self, field: str, width: int):
        name, choice = f"surface_{field}", self[field]
        if field == "through":
            return choice.text(name, width=width, placeholder="0, 100, 200")
        if choice.range is None:
            return choice.select(name, width=width)
        return choice.number(name, width=width, step=0.1 if isinstance(choice.default, float) else 1)

    def _show_what_counts(self) -> None:
        """Hides what the chosen plane and methods ignore."""
        methods = {self.method, self.other}
        averaged = bool(methods & set(AVERAGES))
        counts = {
            "through": self.plane == "checkpoints", "centre": self.plane == "pca",
            "temperature": averaged, "behind": "sampled_pca" in methods,
            "distance": bool(methods - {"pca", None}),
        }  # fmt: skip
        for name, shown in counts.items() if self._widgets else ():
            self._widgets[name].visible = shown
        if self._widgets:
            self._widgets["draws"].title = _draws_title(self.uncertainty, self.draws)

    def _other(self, field: str) -> None:
        if field == "levels" or field in DRAWN:
            self.redrawn()
            return
        if field == "method" and len(self.context.selected) > 1:
            self._compared.default = self.method  # two runs are compared by one method unless asked for two
        self._show_what_counts()
        self.asked()


def _labels(allowed):
    """What a Choice allows: of names and numbers in a list also their words."""
    if allowed is None or (isinstance(allowed, tuple) and not isinstance(allowed[0], str)):
        return allowed
    return {each: NAMES.get(str(each), str(each)) for each in allowed}


def _draws_title(uncertainty: str, draws: int) -> str:
    """The title of the field of draws: how precise a deviation of so many of them is."""
    if uncertainty == "bootstrap":
        return "Draws"
    return f"Draws: standard error {100 / math.sqrt(2 * (draws - 1)):.2g} %"


def _iterations(text: str) -> list[int]:
    words = text.replace(",", " ").split()
    wrong = [word for word in words if not (word.isascii() and word.isdecimal())]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no iteration; allowed: whole numbers, as in 0, 100, 200")
    return [int(word) for word in words]
