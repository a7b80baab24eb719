"""The enhanced error curves as the paper draws them, in plain SVG: dots, segments, marks of new descents."""

from html import escape

import numpy as np

from gdlab.analysis import segments
from gdlab.execution.probing import run_probe

WIDTH, HEIGHT, MARGIN = 900, 320, 56
DOT, LINE, GRID, TEXT = "#d95f02", "#222222", "#c8c8c8", "#444444"
FLOOR = 1e-33  # what is smaller, 0 among it, is drawn here


def write(folder, evidence):
    """rosenbrock.svg (Figure 2 b) and galaxy.svg (Figure 6) into `folder`."""
    rosenbrock = _panel(evidence.rosenbrock, "Rosenbrock, σ = 0.011", 0)
    (folder / "rosenbrock.svg").write_text(_document([rosenbrock]))
    both = [
        _panel(runs[0], title, number * HEIGHT)
        for number, (runs, title) in enumerate(
            ((evidence.batch, "Galaxy, batch"), (evidence.minibatch, "Galaxy, mini-batch: B = 3, K = 20"))
        )
    ]
    (folder / "galaxy.svg").write_text(_document(both))


def _panel(run, title, top):
    """One enhanced curve as SVG elements, shifted down by `top`; the range follows the dots."""
    steps, evaluations = run.table("steps"), run.table("evaluations")
    columns = steps.columns
    samples = run_probe(run.path, "segments", {"start": 0, "stop": run.rows("scalars")})
    curves = segments.assemble(samples, steps, evaluations)
    dots = np.maximum(columns["loss"], FLOOR)
    low, high = np.log10(dots.min()), np.log10(dots.max())
    low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    last = columns["iteration"][-1]

    def x(iteration):
        return MARGIN + (WIDTH - 2 * MARGIN) * np.asarray(iteration) / last

    def y(error):
        share = (np.log10(np.maximum(error, FLOOR)) - low) / (high - low)
        return top + HEIGHT - 40 - (HEIGHT - 70) * np.clip(share, 0, 1)

    parts = [f'<text x="{MARGIN}" y="{top + 18}" font-weight="600">{escape(title)}</text>']
    parts += _axes(x, y, low, high, last, top)
    begun = columns["iteration"][np.nan_to_num(columns["new_descent"]) > 0]
    parts += [
        f'<line x1="{x(k):.1f}" x2="{x(k):.1f}" y1="{top + 30}" y2="{top + HEIGHT - 40}" stroke="{GRID}" '
        'stroke-width="2"/>'
        for k in begun[1:]
    ]
    for xi, value in zip(curves.columns["xi"], curves.columns["value"], strict=True):
        xi, value = segments.clip(xi, value, 0, last)
        inside = np.isfinite(value)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x(xi[inside]), y(value[inside]), strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{LINE}" stroke-width="0.8"/>')
    parts += [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.4" fill="{DOT}"/>'
        for a, b in zip(x(columns["iteration"]), y(dots), strict=True)
    ]
    # Where the batch changes a dot has two values: hollow the one the descent before arrived at.
    parts += [
        f'<circle cx="{x(k):.1f}" cy="{float(y(columns["loss_end"][k - 1])):.1f}" r="2.4" fill="#ffffff" '
        f'stroke="{DOT}"/>'
        for k in begun[1:]
    ]
    return "\n".join(parts)


def _axes(x, y, low, high, last, top):
    """Decades (or halves of one) on the error axis, tens of iterations on the other."""
    step = max(1, round((high - low) / 6)) if high - low > 1.5 else 0.25
    ticks = np.arange(np.ceil(low / step) * step, high, step)
    for tick in ticks:
        at = float(y(10.0**tick))
        line = f'x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{at:.1f}" y2="{at:.1f}"'
        yield f'<line {line} stroke="{GRID}" stroke-width="0.5"/>'
        yield f'<text x="{MARGIN - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**tick:.2g}</text>'
    for k in range(0, int(last) + 1, 20 if last > 40 else 2):
        yield f'<text x="{x(k):.1f}" y="{top + HEIGHT - 22}" text-anchor="middle">{k}</text>'
    yield f'<text x="{WIDTH / 2}" y="{top + HEIGHT - 6}" text-anchor="middle">iteration</text>'


def _document(panels):
    height = HEIGHT * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{TEXT}">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(panels) + "\n</svg>\n"
    )
