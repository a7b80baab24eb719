"""The choices of the layer view: which chart of which statistic, and how its filters are coloured."""

from server.pages.tracker.layers import charts, layout, pixels, statistics
from server.ui import card, sheets
from server.ui.choices import Choice, Choices, button, checks

CHARTS = {"lines": "Lines", "horizon": "Horizon", "boxes": "Boxes"}
SCALES = {False: "one scale for all rows", True: "a scale per row"}


class Options:
    """chosen: chart of CHARTS; statistic of a layer; of: what the boxes are of ("weight", "gradient"); bands
    of the horizon; own: a scale per row; log; anomalies: only anomaly filters; pixel: statistic of filters;
    norm of pixels.NORMS; deep: logarithmic colour; size of layout.SIZES. changed() is called after every
    change. tools: for the card's head; root: the other widgets."""

    def __init__(self, context, run, changed):
        self.context, self._changed = context, changed
        self.layer = statistics.available(run, "layer")
        self.filter = statistics.available(run, "filter")
        self.five = statistics.distributions(run)
        self.chosen = self._choices()
        self.chosen["log"].default = logarithmic(self.chosen.statistic)
        self.expand = button(context, "Expand all", "layers_expand", "The filters of every layer")
        self.collapse = button(context, "Collapse all", "layers_collapse", "Layers alone")
        self.tools = [self.chosen["chart"].radio("layers_chart"), self.chosen["log"].toggle("layers_log")]
        self.widgets = self._widgets()
        order = ("statistic", "of", "bands", "scale", "anomalies")
        first = self._row(*(self.widgets[name] for name in order), self.expand, self.collapse)
        self.filters = self._row(*(self.widgets[name] for name in ("pixel", "norm", "size", "deep")))
        self.root = card.box(context, first, self.filters, classes=["gd-options"])
        self._show()

    def set(self, **changes) -> None:
        """Other choices."""
        self.chosen.set(**changes)

    # -- private ----------------------------------------------------------------------------------

    def _row(self, *widgets):
        row = card.row(self.context, *widgets, classes=["gd-options-row"])
        sheets.wear(sheets.sheet("curve"), row)
        return row

    def _choices(self) -> Choices:
        layer, known = self.layer, {"lines": self.layer, "horizon": self.layer, "boxes": self.five}
        charts_ = {name: words for name, words in CHARTS.items() if known[name]} or {"lines": CHARTS["lines"]}

        def choice(name: str, default, allowed, title: str = "", help: str = "") -> Choice:
            return Choice(self.context, f"layers_{name}", default, allowed, title=title, help=help)

        statistic = choice("statistic", _usual(layer, "weight_mean"), layer, "Statistic", "Of every layer")
        return Choices(
            self._other,
            statistic=statistic,
            chart=choice("chart", next(iter(charts_)), charts_, "", "How the values of a layer are drawn"),
            of=choice("of", _usual(self.five, "weight"), self.five, "Distribution", "What the boxes are of"),
            bands=choice("bands", 3, charts.BANDS, "Bands", "Colours of the horizon on each side"),
            own=choice("own", False, SCALES, "Scale", "Of the values of a row"),
            log=choice("log", logarithmic(statistic.value), None, "Log", "Logarithmic values (l)"),
            anomalies=choice(
                "anomalies", False, None, "anomaly filters only", "Those of the chosen anomalies"
            ),
            pixel=choice(
                "pixel",
                _usual(self.filter, "cosine_distance"),
                self.filter,
                "Filters: statistic",
                "Of every filter",
            ),
            norm=choice("norm", "filter", pixels.NORMS, "Colour scale", "Which values share a colour scale"),
            deep=choice("deep", False, None, "log colours", "Small values differ more"),
            size=choice("size", "fit", layout.SIZES, "Height", "Of the row of a filter"),
        )

    def _widgets(self) -> dict:
        chosen = self.chosen
        widths = {"statistic": 190, "of": 130, "pixel": 190, "norm": 130, "size": 120}
        return {
            **{name: chosen[name].select(f"layers_{name}", width=width) for name, width in widths.items()},
            "scale": chosen["own"].select("layers_scale", width=170),
            "bands": chosen["bands"].number("layers_bands", width=70),
            "anomalies": checks(self.context, "layers_checks", [chosen["anomalies"]]),
            "deep": checks(self.context, "layers_deep", [chosen["deep"]]),
        }

    def _other(self, name: str) -> None:
        if name == "statistic":
            log = self.chosen["log"]
            log.default = logarithmic(self.chosen.statistic)
            if log.value != log.default:
                log.reset()  # which comes here again
                return
        self._show()
        self._changed()

    def _show(self) -> None:
        """Only the widgets that mean something now."""
        chosen, widgets = self.chosen, self.widgets
        strips = chosen.anomalies
        widgets["statistic"].visible = not strips and chosen.chart != "boxes"
        widgets["of"].visible = not strips and chosen.chart == "boxes"
        widgets["bands"].visible = not strips and chosen.chart == "horizon"
        widgets["scale"].visible = widgets["size"].visible = not strips
        for tool in self.tools:
            tool.visible = not strips
        self.expand.visible = self.collapse.visible = not strips


def logarithmic(statistic: str) -> bool:
    """Whether a statistic is usually read on a logarithmic axis."""
    return statistic in statistics.CHANGES


def _usual(options, wanted: str) -> str:
    return wanted if wanted in options else next(iter(options), "")
