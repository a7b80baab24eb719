"""Configs for tests, composed as the command line does it but without the command line."""

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gdlab.app_path import conf_dir


def composed(*overrides, name="test"):
    """The plain config of `python -m gdlab <overrides>`."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        config = compose("config", overrides=[f"name={name}", *overrides])
    return OmegaConf.to_container(config, resolve=True)
