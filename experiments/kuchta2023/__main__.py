"""`python -m experiments.kuchta2023`: train what is missing, compute the surfaces, write the table.

    python -m experiments.kuchta2023 --mnist FOLDER --cifar10 FOLDER [--images] [--seeds 3]

Without folders the data come from the user's cache, downloaded on first use. Everything is kept: a second
call trains and computes nothing again, and what was interrupted goes on.
"""

import sys
from pathlib import Path

from experiments import tables
from experiments.kuchta2023 import claims, training
from experiments.kuchta2023.evidence import Evidence
from experiments.options import parser

FOLDER = Path(__file__).resolve().parent
COMMAND = "python -m experiments.kuchta2023"
SHORT_STEPS = 24


def main(arguments=None):
    """Entry point; returns the claims."""
    options = _options(arguments)
    steps = SHORT_STEPS if options.short else options.steps
    place = training.Place(str(options.runs), options.mnist, options.cifar10, options.images, steps)
    every = training.settings(options.seeds, options.vgg_seeds, options.vgg_data)
    wanted = training.quick() if options.short else every
    if options.networks:
        wanted = [setting for setting in wanted if setting.network in options.networks]
    runs = {setting: training.run(place, setting) for setting in wanted}
    finished = {setting: run for setting, run in runs.items() if run.state == "finished"}
    measured = []
    for claim in claims.measure(Evidence(place, finished, options.short)):
        print(f"{claim.number:2} {claim.verdict:19} {claim.claim}: {claim.measured}", flush=True)
        measured.append(claim)
    _write(options, measured, runs)
    return measured


def _write(options, measured, runs):
    options.out.mkdir(parents=True, exist_ok=True)
    command = COMMAND + (" --short" if options.short else f" --seeds {options.seeds}")
    command += "" if options.vgg_seeds is None else f" --vgg-seeds {options.vgg_seeds}"
    if tuple(options.vgg_data) != training.DATA:
        command += f" --vgg-data {' '.join(options.vgg_data)}"
    command += f" --networks {' '.join(options.networks)}" if options.networks else ""
    facts = ", ".join(f"{name} {value}" for name, value in tables.machine().items())
    states = [
        (s.label, s.seed, run.rows("scalars"), run.state, f"{_seconds(run):,.0f}") for s, run in runs.items()
    ]
    lines = [f"Measured by `{command}` ({facts}).", "", "### Claims", "", *tables.claims_table(measured)]
    lines += ["", "### Trainings", ""]
    lines += tables.table(("setting", "seed", "iterations", "state", "seconds"), states)
    document = {"command": command, "machine": tables.machine(), "claims": [c._asdict() for c in measured]}
    tables.write(options.out, "\n".join(lines), document)
    print(f"written: {options.out / 'README.md'}, results.json", file=sys.stderr)


def _seconds(run):
    return run.array("scalars", -1)[0, run.columns("scalars").index("seconds")]


def _options(arguments):
    options = parser(COMMAND, __doc__, FOLDER, "every training")
    options.add_argument("--steps", type=int, help="iterations of every training (13 epochs)")
    options.add_argument("--vgg-seeds", type=int, help="seeds of VGG, where fewer: it takes longest")
    options.add_argument(
        "--vgg-data", nargs="+", choices=training.DATA, default=training.DATA, help="data that VGG learns"
    )
    options.add_argument("--networks", nargs="+", help="only these networks, as in conf/model")
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()
