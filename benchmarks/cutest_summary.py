"""Who solved how many of the CUTEst problems, in how many evaluations: tables and performance profiles.

Source of the profiles: Dolan and More 2002.
"""

import numpy as np

RULES = {
    "f - f* <= 1e-8 max(1, f_0)": lambda first, best: 1e-8 * max(1.0, first),
    "<= 1e-5 (f_0 - f*)": lambda first, best: 1e-5 * (first - best),
    "<= 1e-6 max(1, abs f*)": lambda first, best: 1e-6 * max(1.0, abs(best)),
}
WIDTH, HEIGHT, MARGIN = 720, 360, 48
FARTHEST = 32  # times the fewest evaluations: the end of a profile's axis
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777", "#000000", "#e58606",
           "#5d69b1")  # fmt: skip


def solved(rows):
    """({rule: {method: {problem: evaluations}}}, problems that ran, lowest error of each)."""
    problems = sorted({row["problem"] for row in rows if row["history"]})
    first = {row["problem"]: row["history"][0][1] for row in rows if row["history"]}
    best = {name: min(row["history"][-1][1] for row in rows if row["problem"] == name and row["history"])
            for name in problems}  # fmt: skip
    found: dict = {rule: {} for rule in RULES}
    for rule, width in RULES.items():
        for row in rows:
            counts = found[rule].setdefault(row["method"], {})
            if not row["history"]:
                continue
            name = row["problem"]
            target = best[name] + width(first[name], best[name])
            hit = next((count for count, value in row["history"] if value <= target), None)
            if hit is not None:
                counts[name] = hit
    return found, problems, best


def summarise(rows, half, methods, picture=None):
    """Print the tables of all problems and of both halves, and what was not solved; write the picture.

    Counted are the problems that all `methods` have tried; f* is the lowest error of all rows.
    """
    found, problems, _ = solved(rows)
    tried = [{row["problem"] for row in rows if row["method"] == method} for method in methods]
    problems = sorted(set(problems).intersection(*tried))
    found = {
        rule: {
            method: {name: count for name, count in counts.get(method, {}).items() if name in problems}
            for method in methods
        }
        for rule, counts in found.items()
    }
    for title, names in (
        ("all", set(problems)),
        ("half on which settings are chosen", half & set(problems)),
        ("the other half", set(problems) - half),
    ):
        print(
            f"\n{title}: {len(names)} problems. Solved / median evaluations to SciPy CG's where both solve\n"
        )
        print("| | " + " | ".join(RULES) + " |\n|---|" + "---:|" * len(RULES))
        for method in methods:
            cells = [_cell(found[rule], method, names) for rule in RULES]
            print(f"| {method} | " + " | ".join(cells) + " |")
    rule = next(iter(RULES))
    print(f"\nNot solved ({rule}), and how they ended:\n")
    for method in methods:
        missing = [
            row
            for row in rows
            if row["method"] == method
            and row["problem"] in problems
            and row["problem"] not in found[rule][method]
        ]
        print(f"- {method}: " + ", ".join(f"{row['problem']} ({row['end']})" for row in missing))
    if picture:
        picture.write_text(profiles(found[rule], problems, methods, rule))


def _cell(counts, method, names):
    own = {name: count for name, count in counts.get(method, {}).items() if name in names}
    other = counts.get("SciPy CG", {})
    ratios = [count / other[name] for name, count in own.items() if name in other]
    return f"{len(own)} / {np.median(ratios):.2f}" if ratios else f"{len(own)} / -"


def profiles(counts, problems, methods, rule):
    """SVG: for each method the share of problems solved within tau times the fewest evaluations of any."""
    solved_by = {name: [c[name] for c in counts.values() if name in c] for name in problems}
    fewest = {name: min(found) for name, found in solved_by.items() if found}
    title = f"Share of {len(problems)} problems solved ({rule.replace('<', '&lt;')}) within so many times"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>',
        f'<text x="{MARGIN}" y="20">{title} the fewest evaluations of any</text>',
        *_axes(),
    ]
    for number, method in enumerate(methods):
        ratios = np.sort([counts[method][name] / fewest[name] for name in counts[method]])
        colour, y = COLOURS[number % len(COLOURS)], MARGIN + 18 * number
        parts.append(
            f'<polyline points="{_stairs(ratios, len(problems))}" fill="none" stroke="{colour}" '
            f'stroke-width="1.8"/><line x1="{WIDTH - 150}" x2="{WIDTH - 130}" y1="{y}" y2="{y}" '
            f'stroke="{colour}" stroke-width="3"/><text x="{WIDTH - 124}" y="{y + 4}">{method}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _axes():
    """The ticks of both axes, as SVG."""
    low, right = HEIGHT - MARGIN + 18, _across(FARTHEST)
    for tau in (1, 2, 4, 8, 16, FARTHEST):
        yield f'<text x="{_across(tau):.0f}" y="{low}" text-anchor="middle">{tau}</text>'
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = _up(share)
        yield f'<line x1="{MARGIN}" x2="{right:.0f}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>'
        yield f'<text x="{MARGIN - 6}" y="{y + 4:.0f}" text-anchor="end">{share:.0%}</text>'


def _stairs(ratios, count):
    """Points of a profile: one step up of 1 / count at each ratio."""
    points, share = [], 0.0
    for at, ratio in enumerate(ratios[ratios <= FARTHEST]):
        points += [(_across(ratio), _up(share)), (_across(ratio), _up((at + 1) / count))]
        share = (at + 1) / count
    points.append((_across(FARTHEST), _up(share)))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _across(tau):
    return MARGIN + (WIDTH - 220) * np.log(tau) / np.log(FARTHEST)


def _up(share):
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share
