"""How the parts stand together: imports point down, and a page never starts JAX.

import-linter reads every import that is written anywhere, the subprocess tests see what a plain
import really loads: the libraries that may appear only inside functions must not be among it.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
JAX_WING = ("jax", "jaxlib", "flax", "optax", "orbax")
SLOW = ("scipy", "sklearn", "pandas")
IMPORT_ALL = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    # Pages run once per session inside a document, and `__main__` starts the server.
    if module.name not in ("server.main", "server.app_hooks", "server.__main__"):
        importlib.import_module(module.name)
"""


def loaded(code, *arguments):
    """The top-level modules in memory after `code` has run in a fresh interpreter."""
    report = f"{code}\nimport sys\nprint('LOADED', *{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", report, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


def test_the_contracts_are_kept():
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_gdlab_loads_nothing_heavy():
    names = loaded("import gdlab")
    assert "gdlab" in names
    assert not names & {*JAX_WING, *SLOW, "hydra", "yaml"}


@pytest.mark.parametrize("package", ["gdlab.store", "gdlab.analysis", "gdlab.data", "gdlab.interchange"])
def test_the_numpy_wing_stays_light(package):
    names = loaded(IMPORT_ALL, package)
    assert "numpy" in names
    assert not names & {*JAX_WING, *SLOW, "bokeh", "hydra"}


def test_the_server_never_loads_jax():
    names = loaded(IMPORT_ALL, "server")
    assert "bokeh" in names
    assert not names & {*JAX_WING, *SLOW, "hydra"}


def test_building_a_page_never_loads_jax(tmp_path):
    code = f"""
import sys
from bokeh.application import Application
from bokeh.application.handlers import DirectoryHandler
handler = DirectoryHandler(filename={str(ROOT / "server")!r}, argv=[sys.argv[1]])
document = Application(handler).create_document()
assert not handler.failed, handler.error_detail
assert document.roots
"""
    assert not loaded(code, str(tmp_path)) & {*JAX_WING, *SLOW}
