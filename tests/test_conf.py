"""Every yaml is picked up by itself: it composes, its target exists and takes its options."""

import inspect
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from gdlab.app_path import conf_dir
from gdlab.commands.sweep import plain
from gdlab.plan import builder as config
from gdlab.plan import options
from tests.composing import composed

GROUPS = (
    *("problem", "dataset", "model", "optimizer", "schedule", "weight_decay", "class_shares", "linesearch"),
    *("beta", "probe"),
)
EXPERIMENTS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
NONE = "none"  # the choice of a group that calls nothing
FOUND = (path for group in GROUPS for path in (conf_dir() / group).glob("*.yaml"))
TARGETS = sorted((path for path in FOUND if path.stem != NONE), key=str)


def identify(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", TARGETS, ids=identify)
def test_yaml_binds_to_its_target(path):
    node = yaml.safe_load(path.read_text())
    config.check(
        {key: value for key, value in node.items() if not isinstance(value, str) or "${" not in value}
    )
    parameters = inspect.signature(config.resolve(node["_target_"])).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return  # it checks its options itself
    options = {key for key in node if not key.startswith("_")}
    assert options <= set(parameters), f"{options - set(parameters)} are not options of {node['_target_']}"


@pytest.mark.parametrize("path", TARGETS, ids=identify)
def test_defaults_in_yaml_are_those_of_the_code(path):
    """A value that the yaml repeats must not drift away from the function's own default."""
    node = yaml.safe_load(path.read_text())
    if not node["_target_"].startswith("gdlab.") or path.stem not in node["_target_"]:
        return
    for key, parameter in inspect.signature(config.resolve(node["_target_"])).parameters.items():
        if isinstance(parameter.default, str | int | float | tuple) and key in node:
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert node[key] == default, f"{key}: {node[key]!r} in the yaml, {default!r} in the code"


@pytest.mark.parametrize("group", ["dataset", "model", "schedule", "weight_decay", "class_shares"])
def test_a_group_may_be_chosen_as_none(group):
    assert plain(OmegaConf.create(composed("experiment=mnist_stages", f"{group}={NONE}")))[group] is None


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_composes_and_its_options_are_allowed(name):
    composed_config = composed(f"experiment={name}")
    options.plan_of(composed_config)
    config.check(composed_config)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiment_opens_with_its_command(name):
    text = Path(conf_dir() / "experiment" / f"{name}.yaml").read_text()
    assert f"experiment={name}" in text.split("defaults:")[0]


def test_unknown_names_are_answered_with_the_nearest():
    assert config.nearest("rosenbrok", ["rosenbrock", "beale"]) == " Did you mean 'rosenbrock'?"
    assert config.nearest("xyz", ["rosenbrock", "beale"]) == ""
