"""The tracker's head: which view, what counts as an anomaly, and what is selected."""

from bokeh.models import Button, RadioButtonGroup, Select, Spinner

from gdlab.analysis.filters import MEASURES
from gdlab.messages import counted
from server.pages.tracker.names import filter_name, image_number
from server.pages.tracker.tracker import MODES, RULE_NAMES, Tracker
from server.ui import card, sheets
from server.ui.query import Query

MEASURE_NAMES = {"cosine": "1 − cosine", "l2": "L2", "relative_l2": "relative L2"}
NAMED = 3  # selected things that are named before they are only counted


class Bar:
    """root: the card. update(): says what there is now."""

    def __init__(self, context, tracker: Tracker):
        self.context, self.tracker = context, tracker
        self._quiet = False
        self._trouble = ""  # why nobody knows how many anomalies there are
        self.query = Query(context, lambda flips: self.update(), failed=self._failed)
        self.mode = RadioButtonGroup(
            labels=list(MODES.values()), active=list(MODES).index(tracker.mode), name="tracker_mode",
            stylesheets=[context.sheet],
        )  # fmt: skip
        self.mode.on_change("active", lambda a, o, new: tracker.show(list(MODES)[new]))
        self.widgets = self._widgets()
        rows = [card.row(context, *self.widgets.values(), classes=["gd-options-row"])]
        self.selected = card.text("", "gd-caption", name="tracker_selected", align="center")
        self.clear = Button(label="Clear selection", name="tracker_clear", **self._look("Esc"))
        self.clear.on_click(tracker.clear)
        rows += [card.row(context, self.selected, self.clear, classes=["gd-options-row"])]
        sheets.wear(sheets.sheet("network"), *rows)  # the rows wrap on a narrow page
        body = card.box(context, *rows, classes=["gd-body"])
        title = f"Classes, layers and filters of {tracker.name}"
        self.root = card.card(context, title, "", body, name="tracker", controls=[self.mode])
        context.on("settings", self.update)
        context.on("selection", self._say_selection)
        context.on("mode", lambda: self.mode.update(active=list(MODES).index(tracker.mode)))
        self.update()

    def update(self) -> None:
        """The numbers in the head, and the widgets."""
        settings = self.tracker.settings
        self._quiet = True
        for name in ("window", "threshold", "rule", "top", "measure", "minimum"):
            self.widgets[name].value = getattr(settings, name)
        self._quiet = False
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

    def _widgets(self):
        context, settings, deep = self.context, self.tracker.settings, max(1, self.tracker.count - 1)

        def number(name, title, high):
            box = Spinner(
                title=title, low=1, high=high, step=1, mode="int", value=getattr(settings, name), width=96,
                name=f"tracker_{name}", stylesheets=[context.sheet],
            )  # fmt: skip
            box.on_change("value", lambda a, o, new: self._set(name, new))
            return box

        def choice(name, title, options, width):
            box = Select(
                title=title, options=list(options.items()), value=getattr(settings, name), width=width,
                name=f"tracker_{name}", stylesheets=[context.sheet],
            )  # fmt: skip
            box.on_change("value", lambda a, o, new: self._set(name, new))
            return box

        propose = Button(
            label="Propose", name="tracker_propose", align="end",
            **self._look("Window and threshold at which about one anomaly would come by chance"),
        )  # fmt: skip
        propose.on_click(self._propose)
        sizes = max([1, *(int(n) for n in self.tracker.dumps.starts[1:] - self.tracker.dumps.starts[:-1])])
        return {
            "rule": choice("rule", "Images that", RULE_NAMES, 170),
            "window": number("window", "Window", deep),
            "threshold": number("threshold", "Threshold", sizes),
            "propose": propose,
            "top": number("top", "Top filters", max(1, int(self.tracker.evidence.first[-1]))),
            "measure": choice("measure", "Change", {m: MEASURE_NAMES[m] for m in MEASURES}, 130),
            "minimum": number("minimum", "Appearances ≥", 10_000),
        }

    def _look(self, title):
        sheet = [self.context.sheet]
        return {"css_classes": ["gd-quiet"], "stylesheets": sheet, "html_attributes": {"title": title}}

    def _set(self, name, value):
        if not self._quiet and value is not None:
            self.tracker.change(**{name: value})

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
