"""What gdlab takes of Hydra's inside is there, and what newer Pythons refuse of it is not met."""

import argparse
import ast
import inspect
import sys
from pathlib import Path

import pytest

from gdlab import __main__ as door
from gdlab import open_run
from gdlab.commands import hydras

ROOT = Path(__file__).resolve().parents[1]


def test_one_module_alone_knows_hydras_inside():
    found = []
    for top in ("gdlab", "server", "hydra_plugins"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                found += [path.name for name in names if name.startswith("hydra._internal")]
    assert set(found) == {"hydras.py"}


def test_the_flags_are_hydras():
    """Every flag that Hydra reads has a value, under the name by which it reads it."""
    from hydra._internal import utils

    source = inspect.getsource(utils._run_hydra)
    read = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "args"
    }
    assert {"overrides", "multirun", "cfg"} <= read <= set(vars(hydras.parser().parse_args([])))


def test_a_python_whose_argparse_wants_texts_trains_all_the_same(tmp_path, monkeypatch):
    """As Python 3.14's argparse, which looks for "%" in the help of a flag as soon as the flag is added."""
    added = argparse.ArgumentParser.add_argument

    def strict(self, *names, help=None, **options):
        _ = help is not None and "%" in help  # TypeError for anything but a text
        return added(self, *names, help=help, **options)

    monkeypatch.setattr(argparse.ArgumentParser, "add_argument", strict)
    from hydra._internal.utils import get_args_parser

    with pytest.raises(TypeError):
        get_args_parser()
    monkeypatch.chdir(tmp_path)
    arguments = ["problem=beale", "train.steps=2", "hydra.run.dir=run"]
    monkeypatch.setattr(sys, "argv", ["gdlab", *arguments])
    door.main()
    assert open_run(tmp_path / "run").rows("scalars") == 2
    assert sys.argv[1:] == arguments  # nothing was put in their place
