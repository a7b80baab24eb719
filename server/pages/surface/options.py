"""What the reader chose: how the surface is computed, against what it is compared, how it is drawn.

What differs from the default is in the address. An option that the chosen methods and plane ignore is not
shown.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from bokeh.models import Button, CheckboxGroup, Select, Spinner, TextInput, Toggle

from gdlab.analysis.surface_options import CENTRES, DRAWS, ON, PLANES, UNCERTAINTIES
from gdlab.analysis.surfaces.weights import BEHIND, DISTANCES, METHODS
from server.ui import card, sheets

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
# field: (key in the address, default, what is allowed)
CHOICES: dict[str, tuple[str, Any, Any]] = {
    "method": ("method", "averaged", METHODS),
    "plane": ("plane", "pca", PLANES),
    "through": ("through", "", None),
    "centre": ("centre", "extremes", CENTRES),
    "resolution": ("lines", 17, RESOLUTIONS),
    "samples": ("examples", 10_000, (1, 10**9)),
    "on": ("set", "train", ON),
    "thin": ("thin", 1, (1, 10**6)),
    "seed": ("seed", 0, (0, 10**9)),
    "distance": ("metric", "euclidean", DISTANCES),
    "temperature": ("temperature", 1.0, (1e-6, 1e6)),
    "offset": ("offset", False, None),
    "behind": ("behind", "plane", BEHIND),
    "uncertainty": ("scatter", "bootstrap", UNCERTAINTIES),
    "draws": ("draws", 64, DRAWS),
    "refine": ("refine", False, None),
    "levels": ("levels", "auto", ("auto", "log", "linear")),
    "clip": ("clip", True, None),
    "contours": ("contours", True, None),
    "path": ("path", True, None),
    "relief": ("relief", False, None),
}
METHOD_FIELDS = ("distance", "temperature", "offset", "behind")
DRAWS_WORDS = (
    "Of dropout masks, or of late points; the bootstrap of a loss that is a mean over examples needs none. "
    "{low:,} to {high:,}"
)
DRAWN = {"clip": "clip at 1.5 × the initial loss", "contours": "contours", "path": "path", "relief": "relief"}
COMPUTED = {"offset": "offset term", "refine": "refine where it bends"}


class Options:
    """The fields of CHOICES as attributes, and `other`, the second method (None: no second map).

    asked(): another surface is wanted; redrawn(): the same is to be drawn in another way.
    """

    method: str
    plane: str
    through: str
    centre: str
    uncertainty: str
    draws: int
    refine: bool
    levels: str
    clip: bool
    contours: bool
    path: bool
    relief: bool

    def __init__(self, context, asked: Callable[[], None], redrawn: Callable[[], None]):
        self.context, self.asked, self.redrawn = context, asked, redrawn
        self.sheet = sheets.sheet("curve")
        for field, (key, default, allowed) in CHOICES.items():
            setattr(self, field, _read(context.state, key, default, allowed))
        usual = self._usual_other()
        other = context.state.get("other", usual, choices=(NONE, *METHODS))
        self.other = None if other == NONE else other
        self._widgets: dict[str, Any] = {}
        panel = card.box(context, classes=["gd-options"], name="surface_options", visible=False)
        self.tools, self.panel = self._tools(), self._styled(panel)

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
        self._set("levels", "log" if log else "linear", drawn=True)

    # -- widgets ----------------------------------------------------------------------------------

    def _tools(self) -> list:
        method = self._select("", "method", METHODS, width=190)
        method.html_attributes = {"title": "How parameters are put at a point of the plane"}
        compare = Select(
            name="surface_other", value=self.other or NONE, width=190, stylesheets=[self.context.sheet],
            options=[(NONE, "compare with …"), *((name, f"with {NAMES[name]}") for name in METHODS)],
            html_attributes={"title": "A second map beside the first"},
        )  # fmt: skip
        compare.on_change("value", lambda attribute, old, new: self._compare(new))
        self.log = Toggle(label="Log", name="surface_log", **self._quiet("Logarithmic colours (l)"))
        self.log.on_click(self.set_levels)
        self.reset = Button(
            label="Reset", name="surface_reset", **self._quiet("The whole map (double click)")
        )
        more = Toggle(label="Options", name="surface_more", **self._quiet("Plane, grid, examples, drawing"))
        more.on_change("active", lambda attribute, old, new: self._show_panel(new))
        return [method, compare, self.reset, self.log, more]

    def _show_panel(self, visible: bool) -> None:
        """Shows or hides the panel, whose widgets are made when it is first opened."""
        if visible and not self._widgets:
            self._fill_panel()
            self._show_what_counts()
        self.panel.visible = visible

    def _fill_panel(self) -> None:
        through = TextInput(
            title="Iterations, two or three", value=self.through, width=150, name="surface_through",
            placeholder="0, 100, 200", stylesheets=[self.context.sheet],
        )  # fmt: skip
        through.on_change("value", lambda attribute, old, new: self._set("through", new.strip()))
        self._widgets = {
            "plane": self._select("Plane", "plane", PLANES, width=170),
            "through": through,
            "centre": self._select("Centre", "centre", CENTRES, width=170),
            "resolution": self._select("Lines a side", "resolution", RESOLUTIONS, width=90),
            "samples": self._spinner("Examples at most", "samples", 110),
            "on": self._select("Loss on", "on", ON, width=120),
            "thin": self._spinner("Every n-th path point", "thin", 130),
            "seed": self._spinner("Seed", "seed", 80),
            "distance": self._select("Distances", "distance", DISTANCES, width=120),
            "temperature": self._spinner("Temperature", "temperature", 100),
            "behind": self._select("Side of the path", "behind", BEHIND, width=120),
            "uncertainty": self._select("Uncertainty", "uncertainty", UNCERTAINTIES, width=160),
            "draws": self._spinner(_draws_title(self.uncertainty, self.draws), "draws", 190),
        }
        words = DRAWS_WORDS.format(low=DRAWS[0], high=DRAWS[1])
        self._widgets["draws"].html_attributes = {"title": words}
        self._computed = self._checks("computed", COMPUTED)
        first = ("plane", "through", "centre", "resolution", "samples", "on", "thin", "seed")
        rows = (
            [self._widgets[name] for name in first],
            [*(widget for name, widget in self._widgets.items() if name not in first), self._computed],
            [self._checks("drawn", DRAWN)],
        )
        styled = [[self._styled(widget) for widget in row] for row in rows]
        self.panel.children = [
            self._styled(card.row(self.context, *row, classes=["gd-options-row"])) for row in styled
        ]

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

    def _compare(self, value: str) -> None:
        self.other = None if value == NONE else value
        self.context.state.set("other", None if value == self._usual_other() else value)
        self._show_what_counts()
        self.asked()

    def _usual_other(self) -> str:
        return self.method if len(self.context.selected) > 1 else NONE

    def _set(self, field: str, value, drawn: bool = False) -> None:
        key, default, _ = CHOICES[field]
        if value == getattr(self, field):
            return
        setattr(self, field, value)
        self.context.state.set(key, None if value == default else value)
        if drawn:
            self.redrawn()
        else:
            self._show_what_counts()
            self.asked()

    def _select(self, title: str, field: str, choices: Sequence, width: int) -> Select:
        kind = type(CHOICES[field][1])
        widget = Select(
            title=title, name=f"surface_{field}", width=width, value=str(getattr(self, field)),
            options=[(str(choice), NAMES.get(str(choice), str(choice))) for choice in choices],
            stylesheets=[self.context.sheet],
        )  # fmt: skip
        widget.on_change("value", lambda attribute, old, new: self._set(field, kind(new)))
        return widget

    def _spinner(self, title: str, field: str, width: int) -> Spinner:
        _, default, (low, high) = CHOICES[field]
        step = 0.1 if isinstance(default, float) else 1
        widget = Spinner(
            title=title, name=f"surface_{field}", low=low, high=high, step=step, value=getattr(self, field),
            width=width, stylesheets=[self.context.sheet],
        )  # fmt: skip

        def changed(attribute, old, new) -> None:
            wanted = default if new is None else type(default)(min(max(new, low), high))
            self._set(field, wanted)
            if new != wanted:
                widget.value = wanted

        widget.on_change("value", changed)
        return widget

    def _checks(self, name: str, labels: dict[str, str]) -> CheckboxGroup:
        fields = list(labels)
        group = CheckboxGroup(
            labels=list(labels.values()), active=[i for i, f in enumerate(fields) if getattr(self, f)],
            inline=True, name=f"surface_{name}", css_classes=["gd-checks"], stylesheets=[self.context.sheet],
        )  # fmt: skip

        def changed(attribute, old, active) -> None:
            for i, field in enumerate(fields):
                self._set(field, i in active, drawn=name == "drawn")

        group.on_change("active", changed)
        return group

    def _quiet(self, title: str) -> dict:
        sheets = [self.context.sheet]
        return {"css_classes": ["gd-quiet"], "stylesheets": sheets, "html_attributes": {"title": title}}

    def _styled(self, layout):
        layout.stylesheets = [*layout.stylesheets, self.sheet]
        return layout


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


def _read(state, key: str, default, allowed):
    if isinstance(default, (int, float)) and not isinstance(default, bool) and len(allowed) == 2:
        return state.get(key, default, low=allowed[0], high=allowed[1])
    return state.get(key, default, choices=allowed)
