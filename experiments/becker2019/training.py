"""The runs that the claims are measured on, trained where they are missing.

A run lies where `python -m gdlab experiment=NAME ...` puts it and has the same config, so that runs
recorded by that command are used as they are, and the server shows what was measured here.
"""

from itertools import product
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gdlab import experiment
from gdlab.app_path import conf_dir

SWEEP = "galaxy_sweep"


def composed(name, *overrides):
    """(plain config, sweep parameters) of `python -m gdlab experiment=NAME OVERRIDES`."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        config = compose(
            "config", [f"experiment={name}", f"name={name}", *overrides], return_hydra_config=True
        )
        params = dict(config.hydra.sweeper.params or {})
        OmegaConf.set_struct(config, False)
        del config["hydra"]
    return OmegaConf.to_container(config, resolve=True), params


def trained(runs, name, *overrides):
    """The Run of `python -m gdlab experiment=NAME OVERRIDES`, its folder below `runs`."""
    config, _ = composed(name, *overrides)
    return experiment.run(config, Path(runs) / ",".join([name, *sorted(overrides)]))


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
