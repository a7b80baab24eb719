"""The picture of `benchmarks.load`: response, memory and the training's speed over the number of readers."""

import math
from collections.abc import Callable, Sequence

WIDTH, LEFT, RIGHT = 640, 80, 90
PANEL, GAP, TOP = 250, 60, 40  # of a panel's drawing, between two panels, above the first
CURVES = {"median": (0.5, "#0072b2"), "95 %": (0.95, "#d55e00"), "worst": (1.0, "#cc79a7")}
SECONDS = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)


def drawn(found: Sequence) -> str:
    """An SVG of three panels from what was `Measured`, the number of readers on a logarithmic axis."""
    readers = [one.readers for one in found]
    response = {
        name: (colour, [max(one.quantiles(share)[0], SECONDS[0]) for one in found])
        for name, (share, colour) in CURVES.items()
    }
    memory = {
        "most": ("#0072b2", [one.most for one in found]),
        "after": ("#009e73", [o.after for o in found]),
    }
    speed = {"training": ("#0072b2", [100 * one.speed for one in found])}
    percent = _ticks(max(100.0, *speed["training"][1]))
    panels = (
        ("Response, s", response, SECONDS, True),
        ("Memory of the server, MB", memory, _ticks(max(one.most for one in found)), False),
        ("Speed of the training beside it, % of that without readers", speed, percent, False),
    )
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="Inter, sans-serif" font-size="12" fill="#1d2430">'
        '<rect width="100%" height="100%" fill="#ffffff"/>'
    ]
    for number, panel in enumerate(panels):
        parts += _panel(readers, TOP + number * (PANEL + GAP), *panel)
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{height - 12}" text-anchor="middle">readers</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(readers, top: float, title: str, curves: dict, ticks: Sequence[float], logarithmic: bool) -> list:
    """The elements of one panel whose drawing begins at `top`; curves: {name: (colour, values)}."""
    x = _scale(readers, LEFT + 20, WIDTH - RIGHT, True)
    y = _scale(ticks, top + PANEL, top, logarithmic)
    parts = [f'<text x="{LEFT}" y="{top - 14}" font-weight="600">{title}</text>']
    for value in ticks:
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#eceff3"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in readers:
        parts.append(f'<text x="{x(value):.1f}" y="{top + PANEL + 18}" text-anchor="middle">{value}</text>')
    ends = []
    for name, (colour, values) in curves.items():
        points = [(x(n), y(value)) for n, value in zip(readers, values, strict=True) if math.isfinite(value)]
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        if points:
            parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.75"/>')
            ends.append((points[-1][1] + 4, name, colour))
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
    lowest = math.inf
    for end, name, colour in sorted(ends, reverse=True):  # names that would lie on one another are moved up
        lowest = min(end, lowest - 14)
        parts.append(f'<text x="{x(max(readers)) + 8:.1f}" y="{lowest:.1f}" fill="{colour}">{name}</text>')
    return parts


def _ticks(most: float) -> list[float]:
    """Round values from 0 to at least `most`."""
    step = 10 ** math.floor(math.log10(most))
    step *= next(factor for factor in (0.2, 0.5, 1, 2) if 6 * factor * step >= most)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def _scale(values: Sequence[float], low: float, high: float, logarithmic: bool) -> Callable[[float], float]:
    """value -> position, the smallest of the values at low, the largest at high."""
    change = math.log if logarithmic else float
    first, last = change(min(values)), change(max(values))
    return lambda value: low + (high - low) * ((change(value) - first) / ((last - first) or 1))
