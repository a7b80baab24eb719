"""What the reader has chosen in the validation view, held by the address."""

from collections.abc import Callable

from bokeh.models import Button, Select, Spinner, Toggle

from server.pages.tracker.classes.rows import SORTS

MOST_CLUSTERS = 12
PIXELS = {"right": "right or wrong", "label": "which wrong label"}
PAIRS = {"safe": "blue and orange", "traffic": "green and red"}
HEIGHTS = {"2": "2 px", "4": "4 px", "8": "8 px"}  # of one image's row
TOPS = {"auto": "automatic", "1": "100 %", "0.5": "50 %", "0.2": "20 %", "0.1": "10 %"}
MOST_KEPT = 200  # unfolded classes that the address remembers


def clusters_asked(state, classes: int) -> int:
    """How many clusters of the classes the address asks for."""
    return state.get("tc_k", min(4, max(1, classes)), low=1, high=MOST_CLUSTERS)


class Choices:
    """k, sort, only, several, pixels, pair, height, top as in the widgets; opened: set of clusters; unfolded:
    set of classes. changed(name) is called after every change, with "k", "sort", ..., or "fold"."""

    def __init__(self, context, classes: int, changed: Callable[[str], None]):
        self.context, self.changed = context, changed
        state = context.state
        self.k = clusters_asked(state, classes)
        self.sort = state.get("tc_sort", "error", choices=SORTS)
        self.only = state.get("tc_only", False)
        self.pixels = state.get("tc_pixels", "right", choices=tuple(PIXELS))
        self.pair = state.get("tc_pair", "safe", choices=tuple(PAIRS))
        self.height = state.get("tc_height", "4", choices=tuple(HEIGHTS))
        self.top = state.get("tc_top", "auto", choices=tuple(TOPS))
        self.several = False
        self.opened = _numbers(state.get_all("tc_open"), MOST_CLUSTERS + 1)
        self.unfolded = _numbers(state.get_all("tc_images"), classes)
        self.widgets = self._widgets()

    @property
    def pixel(self) -> float:
        """Height of one image's row, px."""
        return float(self.height)

    def fold(self, kind: str, item: int) -> None:
        """Opens or closes a cluster ("opened") or a class ("unfolded")."""
        getattr(self, kind).symmetric_difference_update({item})
        self._folded()

    def open(self, clusters) -> None:
        """Opens clusters beside those that are open."""
        if not set(clusters) <= self.opened:
            self.opened |= set(clusters)
            self._folded()

    def fold_all(self) -> None:
        """Only the clusters are left."""
        if self.opened or self.unfolded:
            self.opened, self.unfolded = set(), set()
            self._folded()

    def _folded(self):
        remembered = {"tc_open": self.opened, "tc_images": sorted(self.unfolded)[:MOST_KEPT]}
        self.context.state.update({key: [str(i) for i in sorted(items)] for key, items in remembered.items()})
        self.changed("fold")

    def _set(self, name, value):
        if value is None or value == getattr(self, name):
            return
        setattr(self, name, value)
        if name == "k":
            self.opened = set()  # another grouping has other clusters
            self.context.state.set("tc_open", None)
        if name != "several":
            self.context.state.set(f"tc_{name}", value)
        self.changed(name)

    def _widgets(self):
        sheet = [self.context.sheet]
        quiet = {"css_classes": ["gd-quiet"], "stylesheets": sheet}
        k = Spinner(
            title="Clusters", low=1, high=MOST_CLUSTERS, step=1, mode="int", value=self.k, width=80,
            name="classes_k", stylesheets=sheet,
        )  # fmt: skip
        k.on_change("value", lambda a, o, new: self._set("k", new))
        fold = Button(label="Fold all", name="classes_fold", **quiet)
        fold.on_click(self.fold_all)
        return {
            "k": k,
            "sort": self._select("sort", "Order of classes", {name: name for name in SORTS}, 110),
            "top": self._select("top", "Colours up to", TOPS, 110),
            "pixels": self._select("pixels", "Images show", PIXELS, 150),
            "pair": self._select("pair", "Colours", PAIRS, 140),
            "height": self._select("height", "Image rows", HEIGHTS, 80),
            "only": self._toggle("only", "Only classes with anomalies", "Hide the classes without anomalies"),
            "several": self._toggle("several", "Select several", "A click adds, as with Shift"),
            "fold": fold,
        }

    def _select(self, name, title, options, width):
        box = Select(
            title=title, options=list(options.items()), value=getattr(self, name), width=width,
            name=f"classes_{name}", stylesheets=[self.context.sheet],
        )  # fmt: skip
        box.on_change("value", lambda a, o, new: self._set(name, new))
        return box

    def _toggle(self, name, label, title):
        box = Toggle(
            label=label, active=getattr(self, name), name=f"classes_{name}", css_classes=["gd-quiet"],
            stylesheets=[self.context.sheet], html_attributes={"title": title},
        )  # fmt: skip
        box.on_change("active", lambda a, o, new: self._set(name, bool(new)))
        return box


def _numbers(texts, limit):
    return {int(text) for text in texts if text.isdecimal() and len(text) < 8 and int(text) < limit}
