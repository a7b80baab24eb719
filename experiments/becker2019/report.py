"""The measurements as README.md (between its markers) and results.json."""

import json
import math
import os
import platform
import re
from importlib.metadata import version

from experiments.becker2019.minibatch import FACTORS, MEASURES

COUNTED = 6  # evaluations per iteration, from here on in one column
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write(folder, claims, settings, trends, command):
    """Write both files into `folder`; the README's text outside its markers stays."""
    (folder / "results.json").write_text(
        json.dumps(_plain(document(claims, settings, trends, command)), indent=1, ensure_ascii=False) + "\n"
    )
    path = folder / "README.md"
    text = path.read_text() if path.exists() else f"{BEGIN}\n{END}\n"
    between = f"{BEGIN}\n{tables(claims, settings, trends, command)}\n{END}"
    path.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: between, text, flags=re.DOTALL))


def document(claims, settings, trends, command):
    """Everything measured, and where, as plain values."""
    return {
        "command": command,
        "machine": machine(),
        "claims": [claim._asdict() for claim in claims],
        "sweep": [setting._asdict() for setting in settings],
        "trends": trends,
    }


def machine():
    """What the bits depend on: versions, cores, architecture."""
    return {
        "jax": version("jax"),
        "python": platform.python_version(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
    }


def tables(claims, settings, trends, command):
    """The tables of the README as Markdown."""
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    lines = [f"Measured by `{command}` ({facts}).", "", "### Claims", ""]
    lines += _table(
        ("", "claim", "reported", "measured", "verdict", "setting"),
        [(c.number, c.claim, c.reported, c.measured, f"**{c.verdict}**", c.setting) for c in claims],
    )
    lines += ["", "### Mini-batch size and descent length", ""]
    header = ("B", "K", "batch size", "K / batch size", *MEASURES.values())
    rows = [
        (
            s.batches,
            s.descent_length,
            s.batch_size,
            f"{s.ratio:.3g}",
            *(_number(s.measures[name]) for name in MEASURES),
        )
        for s in settings
    ]
    lines += _table(header, rows)
    lines += ["", "Rank correlation (Spearman's ρ) of each measure with each factor over these runs:", ""]
    lines += _table(
        ("", *FACTORS.values()),
        [
            (MEASURES[name], *(_number(value, ".2f") for value in row.values()))
            for name, row in trends.items()
        ],
    )
    lines += ["", "Iterations by their number of evaluations:", ""]
    lines += _table(
        ("B", "K", *range(1, COUNTED), f"{COUNTED} or more"),
        [(s.batches, s.descent_length, *_grouped(s.histogram)) for s in settings],
    )
    return "\n".join(lines)


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]


def _grouped(histogram):
    """The histogram with everything from COUNTED on in one number, [COUNTED]."""
    padded = [*histogram, *[0] * COUNTED]
    return [*padded[: COUNTED - 1], sum(padded[COUNTED - 1 :])]


def _number(value, form=".3g"):
    return f"{value:{form}}" if math.isfinite(value) else "—"


def _plain(value):
    """JSON has no NaN and no NumPy."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
