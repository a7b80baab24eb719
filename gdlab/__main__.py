"""`python -m gdlab experiment=NAME`: Hydra composes a config, gdlab runs it.

Everything that can be wrong with the command is found before a folder is made: unknown options and
groups here, unknown targets and values in `gdlab.experiment`.
"""

import logging
import sys
from pathlib import Path
from typing import Any

from gdlab.app_path import conf_dir
from gdlab.config import ConfigError, nearest

TASKS = ("train", "ensemble", "probe")


def main():
    """Entry point of `python -m gdlab` and of the script `gdlab`."""
    import hydra

    from gdlab import resolvers

    resolvers.register()
    try:
        _check_overrides(sys.argv[1:])
        given = _take_grid(sys.argv)
    except ConfigError as error:
        sys.exit(f"gdlab: {error}")

    @hydra.main(config_path=str(conf_dir()), config_name="config", version_base="1.3")
    def run(config):
        from hydra.core.hydra_config import HydraConfig

        from gdlab import experiment

        for chatty in ("absl", "jax"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        output = Path(HydraConfig.get().runtime.output_dir)
        sweep = HydraConfig.get().mode == hydra.types.RunMode.MULTIRUN
        try:
            if given is not None:
                _train_grid(given, output)
                return
            outcome = _perform(_plain(config), output)
        except experiment.EXPECTED_ERRORS as error:
            _remove_if_empty(output)
            logging.getLogger("gdlab").debug("refused", exc_info=True)
            if sweep:
                _name_failure(output, error)
                raise
            sys.exit(f"gdlab: {error}")
        except Exception as error:
            if sweep:
                _name_failure(output, error)
            raise
        if outcome is not None and outcome.state == "interrupted":
            sys.exit(130)

    run()


def _plain(config):
    from gdlab.sweep import plain

    return plain(config)


def _take_grid(arguments):
    """The overrides of a task=ensemble, with which Hydra must not deal: it has but one job; else None.

    What sweeps over several values is taken out of `arguments`.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    texts = [a for a in arguments[1:] if not a.startswith("-")]
    if "task=ensemble" not in texts:
        return None
    if {"-m", "--multirun"} & {*arguments}:
        raise ConfigError("task=ensemble trains the whole grid as one job: leave -m out")
    parsed = OverridesParser.create().parse_overrides(texts)
    several = {override.input_line for override in parsed if override.is_sweep_override()}
    arguments[1:] = [a for a in arguments[1:] if a not in several]
    return [override.input_line for override in parsed if not override.is_hydra_override()]


def _train_grid(overrides, output):
    """Train all runs of the grid that the config's sweeper and the overrides span; exits with 1 or 130."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from gdlab.sweep import grid, jobs_of, train_jobs

    _remove_if_empty(output)
    settings: Any = HydraConfig.instance().cfg
    lists = grid(settings.hydra.sweeper.get("params"), overrides)
    jobs = jobs_of(GlobalHydra.instance().config_loader(), settings, lists)
    width = OmegaConf.select(settings, "hydra.launcher.width", default=None)
    states = {outcome.state for outcome in train_jobs(jobs, width)}
    if states & {"interrupted", "not started"}:
        sys.exit(130)
    if "failed" in states:
        sys.exit(1)


def _perform(config, output):
    """The task that `config` names; the Run of a training."""
    from gdlab import experiment, probe_task

    if config["task"] not in TASKS:
        hint = nearest(config["task"], TASKS)
        raise ConfigError(f"task={config['task']!r}: allowed: {', '.join(TASKS)}.{hint}")
    if config["task"] == "probe":
        try:
            probe_task.probe_task(config)
        finally:
            _remove_if_empty(output)
        return None
    probe_task.check_probes(config["probes"])
    outcome = experiment.run(config, output)
    if outcome.state == "finished":
        probe_task.run_probes(config["probes"], output)
    return outcome


def serve():
    """Entry point of the script `gdlab-serve`."""
    from gdlab.app_path import make_server_importable

    make_server_importable()
    from server.__main__ import main as start

    sys.exit(start(sys.argv[1:]))


def _check_overrides(arguments):
    """Refuse unknown groups, choices and options, with the nearest valid name."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    texts = [a for a in arguments if not a.startswith("-")]
    if any(a.startswith("--") and a != "--multirun" for a in arguments):
        return
    try:
        overrides = OverridesParser.create().parse_overrides(texts)
    except HydraException as error:
        raise ConfigError(
            f"{error}\nallowed: option=value, e.g. experiment=rosenbrock train.steps=50"
        ) from None
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        groups = loader.list_groups("")
        chosen = []
        for override in overrides:
            key = override.key_or_group
            if key.startswith("hydra") or override.is_sweep_override():
                continue
            if key in groups:
                _check_choice(key, override.value(), loader.get_group_options(key))
                chosen.append(str(override.input_line))
        composed = OmegaConf.to_container(compose("config", overrides=chosen), resolve=False)
    for override in overrides:
        key = override.key_or_group
        if key in groups or key.startswith("hydra") or override.is_add():
            continue
        _check_key(key, composed, groups)


def _check_choice(group, value, options):
    if value is not None and str(value) not in options:
        hint = nearest(value, options)
        raise ConfigError(f"{group}={value}: there is no such {group}; allowed: {', '.join(options)}.{hint}")


def _check_key(key, composed, groups):
    node, seen = composed, []
    for part in key.split("."):
        if not isinstance(node, dict):
            return
        if part not in node:
            allowed = [name for name in node if not name.startswith("_")]
            if not seen:
                allowed = sorted({*allowed, *groups})
            place = ".".join(seen) or "the config"
            hint = nearest(part, allowed)
            raise ConfigError(f"{key}: no option '{part}' in {place}; allowed: {', '.join(allowed)}.{hint}")
        node = node[part]
        seen.append(part)


def _name_failure(output, error):
    """Hydra shows the first job of a sweep that fails, when all have been run; this names each at once."""
    print(f"gdlab: failed: {output.name}: {error}", file=sys.stderr, flush=True)


def _remove_if_empty(folder):
    try:
        folder.rmdir()
    except OSError:
        return


if __name__ == "__main__":
    main()
