"""A configuration in Python, composed as the command line composes it."""

from pathlib import Path

from gdlab.app_path import conf_dir
from gdlab.plan.builder import ConfigError


def compose(*overrides: str, config_dir: str | Path | None = None) -> dict:
    """The plain dict of `python -m gdlab OVERRIDES`, for `gdlab.run` and `gdlab.train_many`.

    Args:
      overrides: as on the command line, "experiment=digits_cg", "train.steps=50"; one value for each option.
      config_dir: a folder of configurations of one's own, searched before gdlab's, as of `--config-dir`.

    Raises:
      ConfigError: what Hydra says of a choice or an option that there is not; config_dir is no folder.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from gdlab.commands import resolvers

    resolvers.register()
    own = [] if config_dir is None else [_searched(Path(config_dir).resolve())]
    before = GlobalHydra.instance().hydra  # of a script that uses Hydra itself
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
            config = hydra_compose("config", overrides=[*own, *overrides], return_hydra_config=True)
        OmegaConf.set_readonly(config, False)
        OmegaConf.set_struct(config, False)
        config.name = config.name  # it follows from Hydra's own section, which is no part of a run
        del config["hydra"]
        plain: dict = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
        return plain
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(str(error)) from None
    finally:
        GlobalHydra.instance().hydra = before


def _searched(folder):
    if not folder.is_dir():
        raise ConfigError(f"config_dir={folder}: there is no such folder")
    if "'" in str(folder) or "$" in str(folder):
        raise ConfigError(f"config_dir={folder}: Hydra takes no folder with ' or $ in its name: rename it")
    return f"hydra.searchpath=['file://{folder}']"
