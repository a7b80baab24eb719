"""What the reader has chosen in the validation view, held by the address."""

from collections.abc import Callable

from server.pages.tracker.classes.rows import SORTS
from server.ui.choices import Choice, Choices, button

MOST_CLUSTERS = 12
PIXELS = {"right": "right or wrong", "label": "which wrong label"}
PAIRS = {"safe": "blue and orange", "traffic": "green and red"}
HEIGHTS = {"2": "2 px", "4": "4 px", "8": "8 px"}  # of one image's row
TOPS = {"auto": "automatic", "1": "100 %", "0.5": "50 %", "0.2": "20 %", "0.1": "10 %"}
MOST_KEPT = 200  # unfolded classes that the address remembers


def usual_clusters(classes: int) -> int:
    """How many clusters of so many classes are made unless the reader wants others."""
    return min(4, max(1, classes))


def clusters_asked(state, classes: int) -> int:
    """How many clusters of the classes the address asks for."""
    return state.get("tc_k", usual_clusters(classes), low=1, high=MOST_CLUSTERS)


class ClassChoices(Choices):
    """k, sort, only, several, pixels, pair, height, top as in the widgets; opened: set of clusters; unfolded:
    set of classes. changed(name) is called after every change, with "k", "sort", ..., or "fold"."""

    def __init__(self, context, classes: int, changed: Callable[[str], None]):
        self.context, self.changed = context, changed
        state = context.state
        self.opened = _numbers(state.get_all("tc_open"), MOST_CLUSTERS + 1)
        self.unfolded = _numbers(state.get_all("tc_images"), classes)

        def choice(name: str, default, allowed, title: str, help: str) -> Choice:
            return Choice(context, f"tc_{name}", default, allowed, title=title, help=help)

        anomalous = "Hide the classes without anomalies"
        super().__init__(
            self._other,
            k=choice("k", usual_clusters(classes), (1, MOST_CLUSTERS), "Clusters", "Groups of like classes"),
            sort=choice("sort", "error", SORTS, "Order of classes", "Within each cluster"),
            top=choice("top", "auto", TOPS, "Colours up to", "The error rate of the darkest colour"),
            pixels=choice("pixels", "right", PIXELS, "Images show", "A row of pixels for each image"),
            pair=choice("pair", "safe", PAIRS, "Colours", "Of right and wrong"),
            height=choice("height", "4", HEIGHTS, "Image rows", "Height of the row of an image"),
            only=choice("only", False, None, "Only classes with anomalies", anomalous),
            several=Choice(context, None, False, title="Select several", help="A click adds, as with Shift"),
        )
        widths = {"sort": 110, "top": 110, "pixels": 150, "pair": 140, "height": 80}
        self.widgets = [
            self["k"].number("classes_k", width=80),
            *(self[name].select(f"classes_{name}", width=width) for name, width in widths.items()),
            *(self[name].toggle(f"classes_{name}") for name in ("only", "several")),
            button(context, "Fold all", "classes_fold", "Only the clusters are left", self.fold_all),
        ]

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

    def _other(self, name: str) -> None:
        if name == "k":
            self.opened = set()  # another grouping has other clusters
            self.context.state.set("tc_open", None)
        self.changed(name)


def _numbers(texts, limit):
    return {int(text) for text in texts if text.isdecimal() and len(text) < 8 and int(text) < limit}
