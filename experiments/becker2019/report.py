"""The measurements as README.md (between its markers) and results.json."""

from experiments import tables
from experiments.becker2019.minibatch import FACTORS, MEASURES
from experiments.tables import number

COUNTED = 6  # evaluations per iteration, from here on in one column


def write(folder, claims, settings, trends, command):
    """Write both files into `folder`; the README's text outside its markers stays."""
    text = measured(claims, settings, trends, command)
    tables.write(folder, text, document(claims, settings, trends, command))


def document(claims, settings, trends, command):
    """Everything measured, and where, as plain values."""
    return {
        "command": command,
        "machine": tables.machine(),
        "claims": [claim._asdict() for claim in claims],
        "sweep": [setting._asdict() for setting in settings],
        "trends": trends,
    }


def measured(claims, settings, trends, command):
    """The tables of the README as Markdown."""
    facts = ", ".join(f"{name} {value}" for name, value in tables.machine().items())
    lines = [f"Measured by `{command}` ({facts}).", "", "### Claims", ""]
    lines += tables.claims_table(claims)
    lines += ["", "### Mini-batch size and descent length", ""]
    header = ("B", "K", "batch size", "K / batch size", *MEASURES.values())
    rows = [
        (
            s.batches,
            s.descent_length,
            s.batch_size,
            f"{s.ratio:.3g}",
            *(number(s.measures[name]) for name in MEASURES),
        )
        for s in settings
    ]
    lines += tables.table(header, rows)
    lines += ["", "Rank correlation (Spearman's ρ) of each measure with each factor over these runs:", ""]
    lines += tables.table(
        ("", *FACTORS.values()),
        [(MEASURES[name], *(number(value, ".2f") for value in row.values())) for name, row in trends.items()],
    )
    lines += ["", "Iterations by their number of evaluations:", ""]
    lines += tables.table(
        ("B", "K", *range(1, COUNTED), f"{COUNTED} or more"),
        [(s.batches, s.descent_length, *_grouped(s.histogram)) for s in settings],
    )
    return "\n".join(lines)


def _grouped(histogram):
    """The histogram with everything from COUNTED on in one number, [COUNTED]."""
    padded = [*histogram, *[0] * COUNTED]
    return [*padded[: COUNTED - 1], sum(padded[COUNTED - 1 :])]
