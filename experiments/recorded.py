"""Runs that an experiment measures, trained where they are missing.

A run lies where `python -m gdlab experiment=NAME ...` puts it and has the same config, so that runs
recorded by that command are used as they are, and the server shows what was measured here.
"""

from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gdlab import experiment, store
from gdlab.app_path import conf_dir
from gdlab.execution import probing
from gdlab.plan import naming
from gdlab.plan.sources import as_recorded


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


def trained(runs, name, *overrides, unnamed=(), data_dir=None, called=None, formerly=None):
    """The Run of `python -m gdlab experiment=NAME OVERRIDES`, its folder below `runs`.

    unnamed: further overrides, which the folder's name does not say; called, formerly: its name, and the one
    it had before, where both are not the command line's.
    """
    config, _ = composed(name, *overrides, *unnamed)
    if data_dir is not None:
        config["data_dir"] = str(data_dir)
    place = Path(runs)
    if called is None:
        called = chosen(place, name, overrides)
    elif not (place / called).exists() and formerly is not None and (place / formerly).exists():
        called = formerly
    return experiment.run(config, place / called)


def chosen(place, name, overrides):
    """The name of the folder below `place` in which the command line finds or makes this run."""
    old = naming.old_name(name, ",".join(sorted(overrides)))
    return naming.chosen_name(Path(place), name, _changes(overrides), old)


def run_probe(path, probe, options):
    """The Table of a probe of the run in a folder, with its data from where its training, here, had them."""
    return probing.run_probe(path, probe, options, places=as_recorded(store.open_run(path).config))


def folder(name, overrides):
    """The name of the run's folder, as the command line gives it."""
    return naming.run_name(name, _changes(overrides))


def _changes(overrides):
    return naming.own_changes(OverridesParser.create().parse_overrides(list(overrides)))
