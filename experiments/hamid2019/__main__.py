"""`python -m experiments.hamid2019`: train the ensembles where they are missing, write the table.

    python -m experiments.hamid2019 --mnist FOLDER --cifar10 FOLDER [--images] [--small [DATA ...]]

Without folders the data come from the user's cache, downloaded on first use. Everything trained is kept: a
second call trains nothing again, and what was interrupted goes on.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from experiments import tables
from experiments.hamid2019 import claims, training
from experiments.hamid2019.evidence import Evidence, observe
from experiments.options import parser

FOLDER = Path(__file__).resolve().parent
COMMAND = "python -m experiments.hamid2019"


def main(arguments=None):
    """Entry point; returns the claims."""
    options = _options(arguments)
    place = training.Place(str(options.runs), options.mnist, options.cifar10, options.images)
    seen, states = dict.fromkeys(training.DATA), {}
    for data in options.data:
        form = "short" if options.short else "small" if data in options.small else "full"
        ensemble, states[data] = training.run(place._replace(form=form), data)
        if {"interrupted", "not started"} & states[data].keys():
            sys.exit("stopped before all runs were trained; the same command continues")
        seen[data] = observe(ensemble)
    measured = []
    for claim in claims.measure(Evidence(**seen)):
        print(f"{claim.number:2} {claim.verdict:19} {claim.claim}: {claim.measured}", flush=True)
        measured.append(claim)
    _write(options, measured, seen, states)
    return measured


def _write(options, measured, seen, states):
    options.out.mkdir(parents=True, exist_ok=True)
    small = ["--small", *(() if set(options.small) == set(training.DATA) else options.small)]
    command = " ".join([COMMAND, *(["--short"] if options.short else small if options.small else [])])
    facts = ", ".join(f"{name} {value}" for name, value in tables.machine().items())
    header = ("data", "runs", "steps", "accuracy at the end", "P1", "P2", "states", "not used for everything")
    rows = [_row(data, seen[data], states[data]) for data in states]
    lines = [f"Measured by `{command}` ({facts}).", "", "### Claims", "", *tables.claims_table(measured)]
    lines += ["", "### Ensembles", "", *tables.table(header, rows)]
    document = {"command": command, "machine": tables.machine(), "claims": [c._asdict() for c in measured]}
    tables.write(options.out, "\n".join(lines), document)
    print(f"written: {options.out / 'README.md'}, results.json", file=sys.stderr)


def _row(data, seen, states):
    """A row of the table of ensembles."""
    ensemble = seen.ensemble
    notes = Counter(note.split(" after")[0].split(":")[0] for note in ensemble.note if note)
    last = ensemble.accuracy[:, -1] if len(ensemble.step) else np.empty(0)
    return (
        data, len(ensemble.runs), int(ensemble.step.max(initial=0)),
        *(_range(values) for values in (last, seen.p1, seen.p2)),
        ", ".join(f"{count} {state}" for state, count in states.items()),
        ", ".join(f"{count} {note}" for note, count in notes.items()) or "none",
    )  # fmt: skip


def _range(values):
    known = values[np.isfinite(values)]
    return f"{known.min():.1%} to {known.max():.1%}" if len(known) else "—"


def _options(arguments):
    options = parser(COMMAND, __doc__, FOLDER)
    options.add_argument(
        "--small", nargs="*", choices=training.DATA, help="4 x 4 runs, fewer steps: minutes on two cores"
    )
    options.add_argument(
        "--data", nargs="+", choices=training.DATA, default=training.DATA, help="only these data (both)"
    )
    chosen = options.parse_args(arguments)
    chosen.small = () if chosen.small is None else chosen.small or training.DATA
    return chosen


if __name__ == "__main__":
    main()
