"""What conf/config.yaml asks of gdlab while it is composed: the name of a run and of its folder."""

from hashlib import sha256

MAX_FOLDER = 120


def register():
    """Make `gdlab.name` and `gdlab.folder` known to OmegaConf, in every process that composes a config."""
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("gdlab.name", name, replace=True)
    OmegaConf.register_new_resolver("gdlab.folder", folder, replace=True)


def name(*, _root_):
    """The experiment's name, else the problem's."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    # A sweep's folder is asked for before Hydra's own config is set, a job's config after it is gone.
    choices = OmegaConf.select(_root_, "hydra.runtime.choices") or HydraConfig.get().runtime.choices
    return choices.get("experiment") or choices.get("problem") or "run"


def folder(prefix, overrides):
    """One flat folder name per set of overrides; long ones are cut and made unique by a hash."""
    said = f"problem={prefix}"  # the prefix says it already
    parts = [part for part in overrides.replace("/", "_").split(",") if part not in ("", said)]
    text = ",".join([prefix, *parts] if prefix else parts) or "run"
    if len(text) <= MAX_FOLDER:
        return text
    return f"{text[: MAX_FOLDER - 13]}-{sha256(text.encode()).hexdigest()[:12]}"
