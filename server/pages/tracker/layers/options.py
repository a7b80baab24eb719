"""The choices of the layer view: which chart of which statistic, and how its filters are coloured."""

from typing import NamedTuple

from bokeh.models import Button, CheckboxGroup, RadioButtonGroup, Select, Spinner

from server.pages.tracker.layers import charts, layout, pixels, statistics
from server.ui import card, sheets

CHARTS = {"lines": "Lines", "horizon": "Horizon", "boxes": "Boxes"}
SCALES = {"common": "one scale for all rows", "own": "a scale per row"}


class Chosen(NamedTuple):
    """chart of CHARTS; statistic of a layer; of: what the boxes are of ("weight", "gradient"); bands of the
    horizon; own: a scale per row; log; anomalies: only anomaly filters; pixel: statistic of the filters; norm
    of pixels.NORMS; deep: logarithmic colour; size of layout.SIZES."""

    chart: str
    statistic: str
    of: str
    bands: int
    own: bool
    log: bool
    anomalies: bool
    pixel: str
    norm: str
    deep: bool
    size: str


class Options:
    """chosen: the Chosen of now; changed() is called after every other choice; root: the widgets
    but the choice of the chart, which stands in the card's head."""

    def __init__(self, context, run, changed):
        self.context, self._changed = context, changed
        self.layer = statistics.available(run, "layer")
        self.filter = statistics.available(run, "filter")
        self.five = statistics.distributions(run)
        self.chosen = self._read()
        self.widgets = self._widgets()
        self.expand = self._button("Expand all", "layers_expand")
        self.collapse = self._button("Collapse all", "layers_collapse")
        order = ("statistic", "of", "bands", "scale", "checks")
        first = self._row(*(self.widgets[name] for name in order), self.expand, self.collapse)
        self.filters = self._row(*(self.widgets[name] for name in ("pixel", "norm", "size", "deep")))
        self.root = card.box(context, first, self.filters, classes=["gd-options"])
        self._show()

    def set(self, **changes) -> None:
        """Other choices."""
        chosen = self.chosen._replace(**changes)
        if chosen == self.chosen:
            return
        if "statistic" in changes and "log" not in changes:
            chosen = chosen._replace(log=logarithmic(chosen.statistic))
        self.chosen = chosen
        self.context.state.update({f"layers_{name}": value for name, value in chosen._asdict().items()})
        self._show()
        self._changed()

    # -- private ----------------------------------------------------------------------------------

    def _row(self, *widgets):
        row = card.row(self.context, *widgets, classes=["gd-options-row"])
        sheets.wear(sheets.sheet("curve"), row)
        return row

    def _read(self) -> Chosen:
        get = self.context.state.get
        shown = [
            name
            for name, known in (("lines", self.layer), ("horizon", self.layer), ("boxes", self.five))
            if known
        ]
        statistic = get("layers_statistic", _usual(self.layer, "weight_mean"), choices=tuple(self.layer))
        pixel = _usual(self.filter, "cosine_distance")
        return Chosen(
            chart=get("layers_chart", shown[0] if shown else "lines", choices=tuple(shown)),
            statistic=statistic,
            of=get("layers_of", _usual(self.five, "weight"), choices=tuple(self.five)),
            bands=get("layers_bands", 3, low=charts.BANDS[0], high=charts.BANDS[1]),
            own=get("layers_own", False),
            log=get("layers_log", logarithmic(statistic)),
            anomalies=get("layers_anomalies", False),
            pixel=get("layers_pixel", pixel, choices=tuple(self.filter)),
            norm=get("layers_norm", "filter", choices=tuple(pixels.NORMS)),
            deep=get("layers_deep", False),
            size=get("layers_size", "fit", choices=tuple(layout.SIZES)),
        )

    def _widgets(self):
        chosen, sheet = self.chosen, [self.context.sheet]
        chart = RadioButtonGroup(labels=list(CHARTS.values()), name="layers_chart", stylesheets=sheet)
        chart.active = list(CHARTS).index(chosen.chart)
        chart.on_change("active", lambda a, o, new: self.set(chart=list(CHARTS)[new]))
        bands = Spinner(title="Bands", low=1, high=4, step=1, mode="int", value=chosen.bands, width=70)
        bands.update(name="layers_bands", stylesheets=sheet)
        bands.on_change("value", lambda a, o, new: self.set(bands=new) if new else None)
        names = {"log": "logarithmic", "anomalies": "anomaly filters only"}
        checks = self._checks("layers_checks", names)
        deep = self._checks("layers_deep", {"deep": "logarithmic colour"})
        return {
            "chart": chart, "bands": bands, "checks": checks, "deep": deep,
            "statistic": self._select("statistic", "Statistic", self.layer, 190),
            "of": self._select("of", "Distribution", self.five, 130),
            "scale": self._scale(),
            "pixel": self._select("pixel", "Filters: statistic", self.filter, 190),
            "norm": self._select("norm", "Colour scale", pixels.NORMS, 130),
            "size": self._select("size", "Height", layout.SIZES, 120),
        }  # fmt: skip

    def _select(self, field, title, options, width):
        box = Select(
            title=title, options=list(options.items()), value=getattr(self.chosen, field), width=width
        )
        box.update(name=f"layers_{field}", stylesheets=[self.context.sheet])
        box.on_change("value", lambda a, o, new: self.set(**{field: new}))
        return box

    def _scale(self):
        box = Select(title="Scale", options=list(SCALES.items()), width=170, name="layers_scale")
        box.update(value="own" if self.chosen.own else "common", stylesheets=[self.context.sheet])
        box.on_change("value", lambda a, o, new: self.set(own=new == "own"))
        return box

    def _checks(self, name, fields):
        box = CheckboxGroup(labels=list(fields.values()), inline=True, name=name, css_classes=["gd-checks"])
        box.update(active=self._active(fields), stylesheets=[self.context.sheet])
        box.on_change("active", lambda a, o, new: self.set(**{f: i in new for i, f in enumerate(fields)}))
        box.tags = list(fields)
        return box

    def _active(self, fields):
        return [i for i, field in enumerate(fields) if getattr(self.chosen, field)]

    def _button(self, words, name):
        return Button(label=words, name=name, css_classes=["gd-quiet"], stylesheets=[self.context.sheet])

    def _show(self) -> None:
        """Only the widgets that mean something now, with the values of now."""
        chosen, widgets = self.chosen, self.widgets
        for box in (widgets["checks"], widgets["deep"]):
            box.active = self._active(box.tags)
        strips = chosen.anomalies
        widgets["statistic"].visible = not strips and chosen.chart != "boxes"
        widgets["of"].visible = not strips and chosen.chart == "boxes"
        widgets["bands"].visible = not strips and chosen.chart == "horizon"
        widgets["chart"].visible = widgets["scale"].visible = widgets["size"].visible = not strips
        self.expand.visible = self.collapse.visible = not strips


def logarithmic(statistic: str) -> bool:
    """Whether a statistic is usually read on a logarithmic axis."""
    return statistic in statistics.CHANGES


def _usual(options, wanted: str) -> str:
    return wanted if wanted in options else next(iter(options), "")
