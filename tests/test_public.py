"""What `import gdlab` offers: every name is there, seen by type checkers as by Python."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gdlab
from gdlab.plan.builder import ConfigError
from tests.composing import composed

ROOT = Path(__file__).resolve().parents[1]


def test_every_name_is_there_and_explained():
    assert sorted(dir(gdlab)) == sorted(gdlab.__all__)
    for name in gdlab._PUBLIC:
        assert getattr(gdlab, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'open_rnu'"):
        _ = gdlab.open_rnu


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "gdlab" / "__init__.py").read_text())
    (block,) = [
        node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    seen = {
        alias.asname: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == gdlab._PUBLIC


def test_a_run_from_python(tmp_path):
    config = gdlab.compose("experiment=digits_sgd", "train.steps=4")
    assert config == composed("experiment=digits_sgd", "train.steps=4", name="digits_sgd")
    run = gdlab.run(config, tmp_path / "runs" / "a", progress=False)
    assert run.state == "finished" and isinstance(run, gdlab.Run)
    assert [name for name, _ in gdlab.list_runs(tmp_path / "runs")] == ["a"]
    assert gdlab.run_probe(tmp_path / "runs" / "a", "segments", {"start": 0, "stop": 4}).columns
    (outcome,) = gdlab.train_many([config], [tmp_path / "runs" / "b"], progress=False)
    assert isinstance(outcome, gdlab.Outcome)
    np.testing.assert_array_equal(
        outcome.run.table("steps").columns["loss"], run.table("steps").columns["loss"]
    )


def test_composing_leaves_a_script_its_own_hydra(tmp_path):
    (tmp_path / "own.yaml").write_text("x: 1")
    script = """
import sys, gdlab
from hydra import compose, initialize_config_dir
with initialize_config_dir(config_dir=sys.argv[1], version_base="1.3"):
    assert gdlab.compose("problem=beale")["name"] == "beale"
    assert compose("own").x == 1
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_configurations_of_ones_own_are_found(tmp_path):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text("_target_: optax.sgd\nlearning_rate: 0.25\n")
    found = gdlab.compose("problem=beale", "optimizer=mine", config_dir=tmp_path)
    assert found["optimizer"] == {"_target_": "optax.sgd", "learning_rate": 0.25}


@pytest.mark.parametrize("name", ["it's", "${x}"])
def test_a_folder_that_hydra_cannot_take_is_said(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="rename it"):
        gdlab.compose("problem=beale", config_dir=tmp_path / name)


@pytest.mark.parametrize(("overrides", "folder", "said"), [
    (["optimizer=nothing"], None, "nothing"),
    (["train.stesp=3"], None, "stesp"),
    (["problem=beale"], "nowhere", "there is no such folder"),
])  # fmt: skip
def test_what_cannot_be_composed_is_said(overrides, folder, said):
    with pytest.raises(ConfigError, match=said):
        gdlab.compose(*overrides, config_dir=folder)


def unannotated(function):
    """Names of what a function's signature says nothing of."""
    signature = inspect.signature(function)
    found = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
    ]
    silent = signature.return_annotation is signature.empty and function.__name__ != "__init__"
    return found + ["return"] * silent


def functions_of(thing):
    """A public function, or those of a public class."""
    if not inspect.isclass(thing):
        return [thing]
    found = [
        getattr(one, "fget", one) for name, one in vars(thing).items() if name[0] != "_" or name == "__init__"
    ]
    return [one for one in found if inspect.isfunction(one)]


@pytest.mark.parametrize("name", sorted(gdlab._PUBLIC))
def test_everything_public_has_types(name):
    for function in functions_of(getattr(gdlab, name)):
        assert not unannotated(function), function.__qualname__
        assert function.__name__ == "__init__" or function.__doc__, function.__qualname__
    assert (ROOT / "gdlab" / "py.typed").exists()
