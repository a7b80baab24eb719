"""`python -m experiments.becker2019`: train what is missing, measure the claims, write the tables.

About 10 minutes on two cores from nothing, a minute where the runs and their segments are there.
"""

import argparse
import sys
from pathlib import Path

from experiments.becker2019 import claims, curves, figures, minibatch, patterns, report, training
from experiments.becker2019.evidence import BATCH, MINIBATCH, ROSENBROCK, Evidence

FOLDER = Path(__file__).resolve().parent
COMMAND = "python -m experiments.becker2019"
# What `--short` changes: enough of everything to run every line, not enough to conclude.
SHORT_TRAIN = ["train.steps=45"]
SHORT_SWEEP = ["train.batches=3", "train.descent_length=5,20", "train.steps=25"]


def main(arguments=None):
    """Entry point; returns (claims, settings)."""
    options = _options(arguments)
    short = options.short
    seeds = 1 if short else options.seeds
    changes = SHORT_TRAIN if short else []
    evidence = Evidence(
        rosenbrock=training.trained(options.runs, ROSENBROCK),
        batch=training.galaxies(options.runs, BATCH, seeds, changes),
        minibatch=training.galaxies(options.runs, MINIBATCH, seeds, changes),
        scanned=patterns.scan(20 if short else options.sigmas),
    )
    measured = []
    for claim in claims.measure(evidence):
        print(f"{claim.number:2} {claim.verdict:15} {claim.claim}: {claim.measured}", flush=True)
        measured.append(claim)
    settings = []
    for run in training.sweep(options.runs, *(SHORT_SWEEP if short else [])):
        examples = curves.training_set_size(run)
        settings.append(
            minibatch.measured(run, examples, every=5 if short else 12, training_error=curves.training_error)
        )
    trends = minibatch.trends(settings)
    options.out.mkdir(parents=True, exist_ok=True)
    figures.write(options.out, evidence)
    report.write(options.out, measured, settings, trends, _command(options))
    print(f"written: {options.out / 'README.md'}, results.json, figures", file=sys.stderr)
    return measured, settings


def _options(arguments):
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders lie (runs)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where to write (this experiment's folder)")
    parser.add_argument("--seeds", type=_positive, default=5, help="seeds of the galaxy runs (5)")
    parser.add_argument("--sigmas", type=_positive, default=1000, help="sigmas scanned on Rosenbrock (1000)")
    parser.add_argument("--short", action="store_true", help="a quick pass of every part, for tests")
    return parser.parse_args(arguments)


def _positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: allowed: an integer >= 1")
    return value


def _command(options):
    changed = "" if options.seeds == 5 else f" --seeds {options.seeds}"
    changed += "" if options.sigmas == 1000 else f" --sigmas {options.sigmas}"
    return COMMAND + changed + (" --short" if options.short else "")


if __name__ == "__main__":
    main()
