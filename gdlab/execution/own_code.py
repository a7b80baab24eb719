"""The code of a problem of one's own, as part of what a run's numbers depend on.

Of the modules that GDLAB_TARGETS names and a config uses, and of those among them that these import, the
digest of the syntax tree without comments, layout and docstrings. It stands beside a run's `config_hash`, not
in it: other code makes no other run, but what was computed by it is told from what is recorded.
"""

import ast
import hashlib
import importlib.util
import os


def code_of(config):
    """{module: digest} of the modules that the targets of `config` name and GDLAB_TARGETS allows."""
    allowed = tuple(filter(None, map(str.strip, os.environ.get("GDLAB_TARGETS", "").split(","))))
    found: dict[str, str] = {}
    waiting = sorted({target.rpartition(".")[0] for target in _targets(config)})
    while waiting:
        module = waiting.pop()
        if module in found or not _within(module, allowed):
            continue
        tree, package = _tree(module)
        if tree is None:
            continue
        found[module] = hashlib.sha256(ast.unparse(_Bare().visit(tree)).encode()).hexdigest()[:16]
        waiting += _imported(tree, package)
    return dict(sorted(found.items()))


def names_own_code(config):
    """Whether a config names code that is neither gdlab's nor optax's for its training."""
    node = {name: part for name, part in config.items() if name != "probes"}
    return any(target.partition(".")[0] not in ("gdlab", "optax") for target in _targets(node))


def changed_code(recorded, current):
    """['the code of my_problem has changed', ...]: what two results of `code_of` have in common."""
    if not isinstance(recorded, dict):
        return []
    names = [name for name in current if name in recorded and recorded[name] != current[name]]
    return [f"the code of {name} has changed" for name in names]


def changed_since(run):
    """What has changed since the last session of a Run, to be added to a sentence; "" for nothing."""
    last = [run.identity, *run.sessions][-1]
    changed = changed_code(last.get("code"), code_of(run.config))
    return f"; {'; '.join(changed)}: give it another name= to train that" if changed else ""


def _targets(node):
    if isinstance(node, dict):
        target = node.get("_target_")
        own = [target] if isinstance(target, str) else []
        return own + [found for child in node.values() for found in _targets(child)]
    return [found for child in node for found in _targets(child)] if isinstance(node, list | tuple) else []


def _within(module, allowed):
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def _tree(module):
    """(syntax tree, package that relative imports start from) of a module; (None, "") without source."""
    try:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return None, ""
        with open(spec.origin, "rb") as file:
            tree = ast.parse(file.read())
    except (ImportError, ValueError, SyntaxError, OSError, AttributeError):
        return None, ""
    return tree, module if spec.submodule_search_locations else module.rpartition(".")[0]


def _imported(tree, package):
    """Names of all that a module imports, wherever in it; of `from a import b` both a and a.b."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*filter(None, above), *filter(None, [node.module])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return sorted({name for name in names if name})


class _Bare(ast.NodeTransformer):
    """Without docstrings."""

    def _bare(self, node):
        self.generic_visit(node)
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _bare
