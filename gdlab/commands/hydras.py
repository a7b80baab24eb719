"""What gdlab needs of Hydra that Hydra keeps to itself: the one module that names `hydra._internal`.

A new version of Hydra is held against this file (and against its tests, tests/test_hydras.py). `hydra.main`
reads the arguments of the process; gdlab has a parser of its own for the same flags and hands over what it
has read, so it does not meet what Python 3.14's argparse refuses: help that Hydra 1.3 works out when asked.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gdlab.app_path import conf_dir
from gdlab.plan.targets import ConfigError

VERSION_BASE = "1.3"
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def parser() -> argparse.ArgumentParser:
    """Of Hydra's flags, as `_run_hydra` below wants them; gdlab answers the first three itself."""
    found = argparse.ArgumentParser(prog="gdlab", add_help=False)
    found.add_argument("--help", "-h", action="store_true", help="what there is to choose")
    found.add_argument("--version", action="store_true", help="the version of gdlab")
    found.add_argument("--shell-completion", "-sc", action="store_true", help="install=bash, install=zsh")
    found.add_argument("--hydra-help", action="store_true", help="what Hydra has besides")
    found.add_argument("overrides", nargs="*", help="GROUP=CHOICE, OPTION=VALUE")
    found.add_argument("--cfg", "-c", choices=["job", "hydra", "all"], help="show the configuration")
    found.add_argument("--resolve", action="store_true", help="of --cfg: with what it refers to")
    found.add_argument("--package", "-p", help="of --cfg: this part alone")
    found.add_argument("--run", "-r", action="store_true", help="one run, the default")
    found.add_argument("--multirun", "-m", action="store_true", help="a run for each of several values")
    found.add_argument("--config-path", "-cp", help="instead of gdlab's configurations")
    found.add_argument("--config-name", "-cn", help="instead of config")
    found.add_argument("--config-dir", "-cd", help="configurations searched before gdlab's")
    found.add_argument("--info", "-i", const="all", nargs="?", choices=_INFO, help="of the configuration")
    return found


def run(words: Sequence[str], task: Callable[[Any], None]) -> None:
    """Do what a command says: `task(config)` of each config that Hydra composes, or what its flags show."""
    from hydra import version
    from hydra._internal.utils import _run_hydra

    version.setbase(VERSION_BASE)
    flags = parser()
    _run_hydra(
        args=flags.parse_args(list(words)),
        args_parser=flags,
        task_function=task,
        config_path=str(conf_dir()),
        config_name="config",
    )


def loader(config_dir: str | None = None) -> Any:
    """Hydra's loader over gdlab's configurations and those of `config_dir`.

    It becomes Hydra's global one: clear `GlobalHydra` when done. Raises ConfigError for a missing folder.
    """
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.global_hydra import GlobalHydra

    places = create_config_search_path(str(conf_dir()))
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise ConfigError(f"--config-dir {config_dir}: there is no such folder")
        places.prepend("command-line", f"file://{Path(config_dir).absolute()}")
    GlobalHydra.instance().clear()
    return Hydra.create_main_hydra2("gdlab", places).config_loader


def jobs(overrides: Sequence[Any]) -> list[list[str]]:
    """The overrides of every job that parsed overrides span, as Hydra's own sweeper makes them."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    return BasicSweeper.split_arguments(list(overrides), None)[0]


@contextmanager
def raising(returned: Callable[[Any, property], Any]) -> Iterator[None]:
    """Within it, Hydra raises what goes wrong around a run instead of printing where it did.

    returned: (job, Hydra's own property) -> the value of a job of a sweep; it may raise the job's error.
    """
    from hydra._internal import utils as hydras
    from hydra.core.utils import JobReturn

    utils: Any = hydras
    job: Any = JobReturn
    before, usual = utils.run_and_report, job.return_value
    utils.run_and_report = lambda function: function()
    job.return_value = property(lambda job: returned(job, usual), usual.fset)
    try:
        yield
    finally:
        utils.run_and_report, job.return_value = before, usual
