"""What the rows of the layer view show: their charts, their filters as pixels, and the words about them."""

import numpy as np

from gdlab.messages import counted
from server.pages.tracker.layers import charts, layout, pixels, statistics
from server.pages.tracker.layers.drawing import Drawing, Scale, extent, points
from server.pages.tracker.layers.tree import Row
from server.ui.shades import label

NOTHING = "No layer has anomaly filters by these settings: lower the threshold, or choose another window."
INSET = 6  # px: labels of a scale stand within their band


class Painter:
    """Draws what the options ask for, of the tracker's dumps, into a Drawing."""

    def __init__(self, context, tracker, tree, options):
        self.context, self.tracker, self.tree, self.options = context, tracker, tree, options

    def bands(self, opened) -> list[layout.Band]:
        """The rows on the screen; opened: the nodes that are open."""
        chosen = self.options.chosen
        if chosen.anomalies:
            found = self._anomaly_filters()
            return layout.strips([Row(node, self.tree.depth[node], True) for node in found], found)
        rows = self.tree.rows(opened)
        open_layers = {
            row.node: np.arange(node.first, node.first + node.filters)
            for row, node in ((row, self.tree.nodes[row.node]) for row in rows)
            if row.open and node.kind != "group" and self.options.filter
        }
        return layout.charts(rows, open_layers, chosen.size)

    def charts(self, drawing: Drawing, bands):
        """Draws every band's chart; (tips, labels at the right)."""
        chosen, dumps = self.options.chosen, self.tracker.dumps
        names = (
            [f"{chosen.of}_{w}" for w in statistics.BOX] if chosen.chart == "boxes" else [chosen.statistic]
        )
        if not names[0] or names[0].startswith("_"):
            return [("value", "value")], {}
        values = [dumps.layer(name) for name in names]
        nodes = [band.row.node for band in bands]
        marks = [statistics.USUAL] if chosen.statistic == "update_ratio" and chosen.chart != "boxes" else []
        common = extent(np.concatenate([part[:, nodes] for part in values]), chosen.log, marks)
        ticks = {}
        for band in bands:
            five = [part[:, band.row.node] for part in values]
            scale = extent(np.concatenate(five), chosen.log, marks) if chosen.own else common
            self._chart(drawing, band, five, scale, points(len(bands)))
            self._rules(drawing, band, scale, marks, ticks)
            told = dict(zip(statistics.BOX if len(five) > 1 else ("value",), five, strict=True))
            drawing.value(band.chart_place(), self.tree.nodes[band.row.node].name, **told)
        if chosen.chart == "boxes":
            words = ("minimum", "lower quartile", "median", "upper quartile", "maximum")
            return list(zip(words, statistics.BOX, strict=True)), ticks
        return [(self.options.layer[chosen.statistic], "value")], ticks

    def pictures(self, bands) -> list[dict]:
        """The filters of every band that shows them, as Facets.draw takes them."""
        chosen, dumps, out = self.options.chosen, self.tracker.dumps, []
        bands = [band for band in bands if len(band.filters) and chosen.pixel]
        if not bands:
            return out
        stops = np.cumsum([len(band.filters) for band in bands])
        together = np.concatenate([band.filters for band in bands])
        everything = np.split(dumps.filter(chosen.pixel, which=together), stops[:-1], axis=1)
        for band, values in zip(bands, everything, strict=True):
            node, place = self.tree.nodes[band.row.node], band.pixel_place()
            signed, rows = statistics.signed(chosen.pixel), max(1, round(place.height))
            drawn = pixels.picture(values, rows, norm=chosen.norm, log=chosen.deep, signed=signed)
            number = (band.filters[drawn.filter] - node.first).astype(np.uint16)
            out.append({
                "image": drawn.shade[::-1], "value": drawn.value[::-1], "number": number[::-1], "x": -0.5,
                "y": -place.top - place.height, "dw": dumps.count, "dh": place.height, "label": node.name,
            })  # fmt: skip
        return out

    def caption(self, bands) -> str:
        """What is shown, in words."""
        chosen = self.options.chosen
        if chosen.anomalies:
            total = sum(len(band.filters) for band in bands)
            strips = f"{counted(total, 'anomaly filter')} in {counted(len(bands), 'layer')}, a strip each, "
            strips += "ordered by mini-set."
            return f"{strips} Colour: {self._colour_words()}." if total else NOTHING
        if not bands:
            return "The network of this run has no layers."
        if not self.options.layer:
            return "No statistics of layers were recorded."
        boxed = chosen.chart == "boxes"
        what = self.options.five[chosen.of] if boxed else self.options.layer[chosen.statistic]
        scale = "each row on its own scale" if chosen.own else "all rows on one scale"
        words = [f"{what[:1].upper()}{what[1:]}, {scale}."]
        if boxed:
            low, high = self.visible()
            step = -(-(high - low) // charts.BOXES)
            words += [f"A box covers {step} dumps: their extremes and mean quartiles."] if step > 1 else []
        elif chosen.statistic == "update_ratio" and chosen.chart == "lines":
            words.append("Dashed: 0.001.")
        words.append("Click ▸ to open a group or a layer's filters.")
        if any(band.pixels for band in bands):
            words.append(f"Filters: {self._colour_words()}.")
        if not self.tracker.dumps.edges:
            words.append("The network's data flow was not recorded.")
        return " ".join(words)

    def visible(self) -> tuple[int, int]:
        """The dumps in view: first, and the one after the last."""
        start, end, count = self.tracker.x_range.start, self.tracker.x_range.end, self.tracker.count
        low = int(np.clip(np.ceil(start), 0, max(0, count - 1)))
        return low, int(np.clip(np.floor(end) + 1, low + 1, count))

    # -- private ----------------------------------------------------------------------------------

    def _chart(self, drawing, band, five, scale, most) -> None:
        chosen, palette, place = self.options.chosen, self.context.palette, band.chart_place()
        if chosen.chart == "boxes":
            low, high = self.visible()
            charts.boxes(drawing, place, five, scale, (palette.horizon[1], palette.ink), low, high)
        elif chosen.chart == "horizon":
            colours = hues(palette.horizon, chosen.bands), hues(palette.horizon_below, chosen.bands)
            charts.horizon(drawing, place, five[0], scale, colours, most)
        else:
            charts.line(drawing, place, five[0], scale, palette.accent, most)

    def _rules(self, drawing, band, scale: Scale, marks, ticks) -> None:
        """The frame of a band: base line, reference lines, the ends of its scale."""
        chosen, palette, place = self.options.chosen, self.context.palette, band.chart_place()
        low, high = -0.5, self.tracker.count - 0.5
        bottom = -place.top - place.height
        drawing.stroke(low, bottom, high, bottom, palette.line)
        if chosen.chart == "horizon":
            base, size = charts.folding(scale)
            ticks[bottom + INSET], ticks[-place.top - INSET] = (
                label(base),
                f"±{label(size)}" if scale.low < 0 else label(base + size),
            )
            return
        zero = [0.0] if scale.low < 0 < scale.high and not scale.log else []
        for value in [*marks, *zero]:
            y = float(place.y(scale.share([value]))[0])
            drawing.stroke(
                low, y, high, y, palette.muted if value else palette.axis, "dashed" if value else "solid"
            )
        ticks[bottom + INSET], ticks[-place.top - INSET] = label(scale.low), label(scale.high)

    def _anomaly_filters(self) -> dict[int, np.ndarray]:
        """{node: its anomaly filters, mini-set by mini-set} of the layers that have some."""
        grid = self.tracker.grid()
        parts, out = grid.parts.columns, {}
        begins = parts["stop"] - parts["size"]
        for layer in np.unique(parts["layer"]):
            mine = np.flatnonzero(parts["layer"] == layer)
            node = int(self.tracker.evidence.layers[layer])
            out[node] = np.concatenate([grid.filters[begins[i] : parts["stop"][i]] for i in mine])
        return out

    def _colour_words(self) -> str:
        chosen = self.options.chosen
        return f"{self.options.filter.get(chosen.pixel, '')}, {pixels.NORMS[chosen.norm]}"


def hues(colours, bands: int) -> list[str]:
    """As many colours from weak to strong as there are bands, between those given."""
    parts = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours], float)
    at = np.linspace(0, len(colours) - 1, bands) if bands > 1 else np.array([len(colours) / 2 - 0.5])
    mixed = [np.interp(at, np.arange(len(colours)), parts[:, i]) for i in range(3)]
    return ["#" + "".join(f"{round(value):02x}" for value in colour) for colour in zip(*mixed, strict=True)]
