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


def summarise(rows, half, picture=None):
    """Print the tables of all problems and of both halves, and what was not solved; write the picture."""
    found, problems, _ = solved(rows)
    methods = list(dict.fromkeys(row["method"] for row in rows))
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
            row for row in rows if row["method"] == method and row["problem"] not in found[rule][method]
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
    fewest = {name: min(c[name] for c in counts.values() if name in c) for name in problems
              if any(name in c for c in counts.values())}  # fmt: skip
    ticks = [1, 2, 4, 8, 16, FARTHEST]
    across = lambda tau: MARGIN + (WIDTH - 220) * np.log(tau) / np.log(FARTHEST)  # noqa: E731
    up = lambda share: HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share  # noqa: E731
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
             f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
             f'<text x="{MARGIN}" y="20">Share of {len(problems)} problems solved ({rule.replace("<", "&lt;")}) within '
             "so many times the fewest evaluations</text>"]  # fmt: skip
    for tau in ticks:
        parts.append(
            f'<text x="{across(tau):.0f}" y="{HEIGHT - MARGIN + 18}" text-anchor="middle">{tau}</text>'
        )
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line x1="{MARGIN}" x2="{across(FARTHEST):.0f}" y1="{up(share):.0f}" y2="{up(share):.0f}" '
                     f'stroke="#ddd"/><text x="{MARGIN - 6}" y="{up(share) + 4:.0f}" text-anchor="end">'
                     f"{share:.0%}</text>")  # fmt: skip
    for number, method in enumerate(methods):
        ratios = np.sort([counts[method][name] / fewest[name] for name in counts[method]])
        colour, points, share = COLOURS[number % len(COLOURS)], [], 0.0
        for at, ratio in enumerate(ratios[ratios <= FARTHEST]):
            points += [(across(ratio), up(share)), (across(ratio), up((at + 1) / len(problems)))]
            share = (at + 1) / len(problems)
        points.append((across(FARTHEST), up(share)))
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        y = MARGIN + 18 * number
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
                     f'<line x1="{WIDTH - 150}" x2="{WIDTH - 130}" y1="{y}" y2="{y}" stroke="{colour}" '
                     f'stroke-width="3"/><text x="{WIDTH - 124}" y="{y + 4}">{method}</text>')  # fmt: skip
    return "\n".join([*parts, "</svg>", ""])
