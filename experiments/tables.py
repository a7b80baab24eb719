"""How measurements are written down: a claim, Markdown tables between two markers of a README, JSON."""

import json
import math
import os
import platform
import re
from importlib.metadata import version
from typing import Any, NamedTuple

REPRODUCED, PARTLY, REFUTED, UNDECIDED = "reproduced", "partly", "not reproduced", "not decidable here"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Claim(NamedTuple):
    """A row of the table; `details` holds the numbers behind `measured` (plain values, for results.json)."""

    number: int
    claim: str
    reported: str
    measured: str
    verdict: str
    setting: str
    details: dict[str, Any]


def write(folder, text, document):
    """results.json, and `text` between the markers of README.md in `folder`; what stands outside stays."""
    numbers = json.dumps(plain(document), indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(numbers + "\n")
    path = folder / "README.md"
    before = path.read_text() if path.exists() else f"{BEGIN}\n{END}\n"
    between = f"{BEGIN}\n{text}\n{END}"
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    path.write_text(re.sub(pattern, lambda _: between, before, flags=re.DOTALL))


def machine():
    """What the bits depend on: versions, cores, architecture."""
    return {
        "jax": version("jax"),
        "python": platform.python_version(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
    }


def claims_table(claims):
    """The lines of the table of claims."""
    return table(
        ("", "claim", "reported", "measured", "verdict", "setting"),
        [(c.number, c.claim, c.reported, c.measured, f"**{c.verdict}**", c.setting) for c in claims],
    )


def table(header, rows):
    """The lines of a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines]


def number(value, form=".3g"):
    """A number in Markdown, a dash where it is not finite."""
    return f"{value:{form}}" if math.isfinite(value) else "—"


def listed(values, form=".3g"):
    """Numbers for a cell of the table."""
    return ", ".join(f"{value:{form}}" for value in values)


def verdict_of(hits):
    """All: reproduced; some: partly; none: not reproduced; nothing measured: not decidable here."""
    hits = list(hits)
    if not hits:
        return UNDECIDED
    return REPRODUCED if all(hits) else PARTLY if any(hits) else REFUTED


def plain(value):
    """JSON has no NaN and no NumPy."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
