"""`python -m experiments.liu2018`: train what is missing, look at the dumps, write the tables.

    python -m experiments.liu2018 --mnist FOLDER --cifar10 FOLDER [--images] [--seeds 3]

Without folders the data come from the user's cache, downloaded on first use. Everything trained is kept: a
second call trains nothing again, and what was interrupted goes on.
"""

import sys
from pathlib import Path

from experiments import tables
from experiments.liu2018 import claims, easy_classes, training
from experiments.liu2018.evidence import Evidence, observe
from experiments.options import parser
from gdlab.analysis import health

FOLDER = Path(__file__).resolve().parent
COMMAND = "python -m experiments.liu2018"


def main(arguments=None):
    """Entry point; returns the claims."""
    options = _options(arguments)
    place = training.Place(str(options.runs), options.mnist, options.cifar10, options.images, options.short)
    wanted = training.quick() if options.short else training.settings(options.seeds)
    wanted = [setting for setting in wanted if setting.data in options.data]
    runs = {setting: training.run(place, setting) for setting in wanted}
    records = {setting: observe(run) for setting, run in runs.items() if run.state == "finished"}
    diverged = [setting for setting, run in runs.items() if run.state == "diverged"]
    measured = []
    for claim in claims.measure(Evidence(records, diverged)):
        print(f"{claim.number:2} {claim.verdict:19} {claim.claim}: {claim.measured}", flush=True)
        measured.append(claim)
    shared = {
        setting: easy_classes.compared(runs[setting], training.run_with_shares(place, setting, runs[setting]))
        for setting in records
        if setting.optimizer == "sgd" and setting.times == 1 and setting.data in options.shares
    }
    _write(options, measured, runs, records, shared)
    return measured


def _write(options, measured, runs, records, shared):
    options.out.mkdir(parents=True, exist_ok=True)
    command = COMMAND + (" --short" if options.short else f" --seeds {options.seeds}")
    if set(options.shares) != set(training.DATA):
        command += " ".join([" --shares", *options.shares])
    facts = ", ".join(f"{name} {value}" for name, value in tables.machine().items())
    header = ("setting", "seed", "iterations", "dumps", "state", "accuracy", "seconds", "warnings")
    trainings = [_training(setting, run, records.get(setting)) for setting, run in runs.items()]
    lines = [f"Measured by `{command}` ({facts}).", "", "### Claims", "", *tables.claims_table(measured)]
    lines += ["", "### Trainings", "", *tables.table(header, trainings)]
    lines += ["", "### Easy classes less often", ""]
    lines += tables.table(easy_classes.HEADER, easy_classes.rows(shared))
    document = {"command": command, "machine": tables.machine(), "claims": [c._asdict() for c in measured]}
    document["easy classes less often"] = [
        {**setting._asdict(), "error": found} for setting, found in shared.items()
    ]
    tables.write(options.out, "\n".join(lines), document)
    print(f"written: {options.out / 'README.md'}, results.json", file=sys.stderr)


def _training(setting, run, record):
    """A row of the table of trainings; accuracy on the dumped images, warnings of the health check."""
    seconds = run.array("scalars", -1)[0, run.columns("scalars").index("seconds")]
    row = [setting.label, setting.seed, run.rows("scalars"), run.rows("dump/scalars"), run.state]
    if record is None:
        return [*row, "—", f"{seconds:,.0f}", "—"]
    warned = health.check(health.record_of(record.dumps)).columns["kind"]
    return [*row, f"{1 - record.error[-1]:.1%}", f"{seconds:,.0f}", ", ".join(dict.fromkeys(warned))]


def _options(arguments):
    options = parser(COMMAND, __doc__, FOLDER, "the trainings on MNIST")
    options.add_argument(
        "--data", nargs="+", choices=training.DATA, default=training.DATA, help="only these data (both)"
    )
    options.add_argument(
        "--shares", nargs="*", choices=training.DATA, default=training.DATA,
        help="data on which easy classes are also shown less often (both)",
    )  # fmt: skip
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()
