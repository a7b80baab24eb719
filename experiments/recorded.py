"""Runs that an experiment measures, trained where they are missing.

A run lies where `python -m gdlab experiment=NAME ...` puts it and has the same config, so that runs
recorded by that command are used as they are, and the server shows what was measured here.
"""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gdlab import experiment
from gdlab.app_path import conf_dir


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


def trained(runs, name, *overrides, data_dir=None, called=None):
    """The Run of `python -m gdlab experiment=NAME OVERRIDES`, its folder below `runs`; called: its name."""
    config, _ = composed(name, *overrides)
    if data_dir is not None:
        config["data_dir"] = str(data_dir)
    return experiment.run(config, Path(runs) / (called or folder(name, overrides)))


def folder(name, overrides):
    """The name of the run's folder, as the command line gives it."""
    return ",".join([name, *sorted(text.replace("/", "_") for text in overrides)])
