"""The runs that the claims are measured on: Rosenbrock, the galaxy in both ways, and the sweep."""

from itertools import product
from pathlib import Path

from experiments.recorded import composed, trained
from gdlab import experiment

SWEEP = "galaxy_sweep"


def galaxies(runs, name, seeds, overrides=()):
    """{seed: Run} of a galaxy experiment; seed 0 is the one that needs no override."""
    return {
        seed: trained(runs, name, *([f"seed={seed}"] if seed else []), *overrides) for seed in range(seeds)
    }


def sweep(runs, *overrides):
    """[Run] of `python -m gdlab -m experiment=galaxy_sweep`, in the order of its parameters.

    overrides: of parameters of the sweep as on the command line ("train.batches=1,3"), or of others.
    """
    said = dict(text.split("=", 1) for text in overrides)
    _, params = composed(SWEEP)
    choices = {name: said.pop(name, text).replace(" ", "").split(",") for name, text in params.items()}
    fixed = [f"{name}={value}" for name, value in said.items()]
    found = []
    for values in product(*choices.values()):
        job = [f"{name}={value}" for name, value in zip(choices, values, strict=True)]
        config, _ = composed(SWEEP, *job, *fixed)
        found.append(experiment.run(config, Path(runs) / SWEEP / ",".join([*job, *fixed])))
    return found
