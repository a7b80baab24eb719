"""The house rules that a program can check: short files, short functions, documented names."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    path for folder in ("gdlab", "server", "hydra_plugins") for path in (ROOT / folder).rglob("*.py")
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MOST_LINES_IN_A_FILE, MOST_LINES_IN_A_FUNCTION = 300, 40

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def _lines_of_code(function):
    """Lines from `def` to the end, without the docstring, the parameters and the functions inside."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 1
    inside = (node for node in ast.walk(function) if isinstance(node, FUNCTIONS) and node is not function)
    lines = {line for node in inside for line in range(node.lineno, node.end_lineno + 1)}
    return 1 + len(set(range(body[0].lineno, function.end_lineno + 1)) - lines)


def _is_setter(function):
    """Whether a property's setter: its getter is documented."""
    return any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in function.decorator_list)


def _public(tree):
    """The public classes and functions of a module, and the public methods of its public classes."""
    for node in tree.body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                for member in node.body:
                    private = getattr(member, "name", "_").startswith("_")
                    if isinstance(member, FUNCTIONS) and not private and not _is_setter(member):
                        yield f"{node.name}.{member.name}", member


@every_file
def test_a_file_is_a_room(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES_IN_A_FILE
    assert ast.get_docstring(ast.parse(text)), "a module opens with its idea"


@every_file
def test_functions_are_short(path):
    nodes = ast.walk(ast.parse(path.read_text()))
    functions = (node for node in nodes if isinstance(node, FUNCTIONS))
    lengths = {f"{node.name}, line {node.lineno}": _lines_of_code(node) for node in functions}
    assert not {name: n for name, n in lengths.items() if n > MOST_LINES_IN_A_FUNCTION}


@every_file
def test_public_names_are_documented(path):
    named = _public(ast.parse(path.read_text()))
    assert not [name for name, node in named if not ast.get_docstring(node)]


def test_the_rules_see_what_they_forbid():
    lines = "    x = 1\n" * MOST_LINES_IN_A_FUNCTION
    tree = ast.parse(f"def long():\n{lines}class A:\n    def b(self): ...\n")
    assert _lines_of_code(tree.body[0]) > MOST_LINES_IN_A_FUNCTION
    assert [name for name, node in _public(tree) if not ast.get_docstring(node)] == ["long", "A", "A.b"]
