"""The tracker's head: which view, what counts as an anomaly, and what is selected."""

from gdlab.messages import counted
from server.pages.tracker.names import filter_name, image_number
from server.pages.tracker.tracker import Tracker
from server.ui import card, sheets
from server.ui.choices import button
from server.ui.query import Query

NAMED = 3  # selected things that are named before they are only counted


class Bar:
    """root: the card. update(): says what there is now."""

    def __init__(self, context, tracker: Tracker):
        self.context, self.tracker = context, tracker
        self._trouble = ""  # why nobody knows how many anomalies there are
        self.query = Query(context, lambda flips: self.update(), failed=self._failed)
        rows = [card.row(context, *self._widgets(), classes=["gd-options-row"])]
        self.selected = card.text("", "gd-caption", name="tracker_selected", align="center")
        self.clear = button(context, "Clear selection", "tracker_clear", "Esc", tracker.clear)
        rows += [card.row(context, self.selected, self.clear, classes=["gd-options-row"])]
        sheets.wear(sheets.sheet("network"), *rows)  # the rows wrap on a narrow page
        body = card.box(context, *rows, classes=["gd-body"])
        title = f"Classes, layers and filters of {tracker.name}"
        self.root = card.card(
            context, title, "", body, name="tracker", controls=[tracker.modes.radio("tracker_mode")]
        )
        context.on("settings", self.update)
        context.on("selection", self._say_selection)
        self.update()

    def update(self) -> None:
        """The numbers in the head."""
        dumps = self.tracker.dumps
        every = int(dumps.iteration[1] - dumps.iteration[0]) if dumps.count > 1 else 0
        words = [counted(dumps.count, "dump") + (f", every {counted(every, 'iteration')}" if every else "")]
        if len(dumps.labels):
            words.append(
                f"{counted(len(dumps.labels), 'image')} in {counted(len(dumps.classes), 'class', 'classes')}"
            )
            words.append(self._anomalies())
        others = [name for name in self.context.selected if name != self.tracker.name]
        if others:
            words.append(f"this page follows one run; not shown: {_listed('', others).strip()}")
        card.retitle(self.root, caption="; ".join(words) + ".")
        self._say_selection()

    def _anomalies(self):
        """How many there are; where looking for them takes long, it is said later."""
        if not self.tracker.anomalies_at_once():
            if self._trouble:
                return f"anomalies cannot be found: {self._trouble}"
            self.query.compute(self.tracker.dumps, self.tracker.evidence.flips)
            return "looking for anomalies …"
        found = self.tracker.anomalies().columns
        classes, places = (len(set(found[name].tolist())) for name in ("class", "dump"))
        words = counted(len(found["class"]), "anomaly", "anomalies")
        return f"{words} of {counted(classes, 'class', 'classes')} at {counted(places, 'iteration')}"

    def _failed(self, why: str) -> None:
        self._trouble = why
        self.update()

    def _widgets(self) -> list:
        choices, deep = self.tracker.choices, max(1, self.tracker.count - 1)
        sizes = max([1, *(int(n) for n in self.tracker.dumps.starts[1:] - self.tracker.dumps.starts[:-1])])
        filters = max(1, int(self.tracker.evidence.first[-1]))

        def number(name: str, high: int):
            return choices[name].number(f"tracker_{name}", width=96, high=high)

        words = "Window and threshold at which about one anomaly would come by chance"
        return [
            choices["rule"].select("tracker_rule", width=170),
            number("window", deep),
            number("threshold", sizes),
            button(self.context, "Propose", "tracker_propose", words, self._propose, align="end"),
            number("top", filters),
            choices["measure"].select("tracker_measure"),
            number("minimum", 10_000),
        ]

    def _propose(self):
        proposed = self.tracker.evidence.proposal()
        self.tracker.change(window=proposed.window, threshold=proposed.threshold)

    def _say_selection(self) -> None:
        tracker, chosen = self.tracker, self.tracker.selection
        names = {
            "iteration": [f"{tracker.dumps.iteration[i]:,}" for i in chosen.dumps],
            "class": [tracker.dumps.classes[i] for i in chosen.classes],
            "layer": [tracker.dumps.nodes[i].name for i in chosen.layers],
            "filter": [filter_name(tracker.dumps, i) for i in chosen.filters[:NAMED]],
            "image": [] if chosen.image is None else [f"{image_number(tracker.dumps, chosen.image):,}"],
        }
        counts = {"filter": len(chosen.filters)}  # not all of them are named
        words = [_listed(kind, found, counts.get(kind)) for kind, found in names.items() if found]
        self.selected.text = "Selected: " + "; ".join(words) if words else "Nothing is selected."
        self.clear.disabled = not words


def _listed(kind, names, count=None):
    count = len(names) if count is None else count
    plural = {"class": "classes", "": ""}.get(kind, f"{kind}s") if count > 1 else kind
    shown = ", ".join(names[:NAMED])
    return f"{plural} {shown}" + (f" and {count - NAMED:,} more" if count > NAMED else "")
