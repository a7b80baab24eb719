"""What conf/config.yaml asks of gdlab while it is composed: the name of a run and of its folder."""

from pathlib import Path

from gdlab.plan import naming


def register():
    """Make the resolvers below known to OmegaConf, in every process that composes a config."""
    from omegaconf import OmegaConf

    for resolver in (name, run_folder, sweep_folder, job_folder):
        said = resolver.__name__.replace("_folder", "_dir")
        OmegaConf.register_new_resolver(f"gdlab.{said}", resolver, replace=True)


def name(*, _root_):
    """The experiment's name, else the problem's."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    # A sweep's folder is asked for before Hydra's own config is set, a job's config after it is gone.
    choices = OmegaConf.select(_root_, "hydra.runtime.choices") or HydraConfig.get().runtime.choices
    return choices.get("experiment") or choices.get("problem") or "run"


def run_folder(parent, prefix, overrides, *, _root_):
    """The folder of a run below `parent`; overrides: all of them as one text, as older names have them."""
    prefix = _text(prefix)
    changes = _changes(_root_)
    if changes.get("problem") == prefix:  # the prefix says it already
        del changes["problem"]
    old = naming.old_name(prefix, overrides)
    return f"{parent}/{naming.chosen_name(Path(parent), prefix, changes, old)}"


def sweep_folder(parent, prefix):
    """The folder of a sweep below `parent`."""
    return f"{parent}/{naming.run_name(_text(prefix), {})}"


def job_folder(parent, overrides, *, _root_):
    """The name of a job's folder in that of its sweep, `parent`."""
    return naming.chosen_name(Path(parent), "", _changes(_root_), naming.old_name("", overrides))


def _changes(root):
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    texts = list(OmegaConf.select(root, "hydra.overrides.task") or ())
    excluded = OmegaConf.select(root, "hydra.job.config.override_dirname.exclude_keys") or ()
    return naming.own_changes(OverridesParser.create().parse_overrides(texts), list(excluded))


def _text(prefix):
    if isinstance(prefix, bool):
        return str(prefix).lower()
    return "" if prefix is None else str(prefix)
