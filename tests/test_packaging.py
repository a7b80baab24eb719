"""What is installed: a wheel takes no common names, brings its app along, and the core stands alone."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from gdlab.messages import EXTRAS

ROOT = Path(__file__).resolve().parents[1]
CORE = ("jax", "numpy", "optax", "pyyaml")
# Extras whose versions stand in constraints/; what "rivals" adds is looked at by tests/test_pins.py.
PINNED = ("record", "app", "import", "export", "docs", "test", "bench")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Refuses every distribution but the core's own, as if nothing else were installed.
CORE_ONLY = """
import re, sys
from importlib import metadata

def needed(names):
    found, todo = set(), list(names)
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            try:
                lines = [line for line in metadata.requires(name) or () if "extra ==" not in line]
            except metadata.PackageNotFoundError:  # of another system or Python
                continue
            todo += [re.match(r"[A-Za-z0-9._-]+", line)[0] for line in lines]
    return found

allowed = needed(sys.argv[1].split(","))

class Refuse:
    owners = metadata.packages_distributions()

    def find_spec(self, name, path=None, target=None):
        of = {one.lower().replace("_", "-") for one in self.owners.get(name.partition(".")[0], ())}
        if of and not of & {*allowed, "gdlab"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the checkout, so that nothing is left behind in it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("gdlab", "server", "conf", "hydra_plugins"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("gdlab-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel):
    """The wheel unpacked as pip would, in a folder far from the checkout."""
    site = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def python(code, *arguments, path, cwd):
    """Run `code` in a fresh interpreter that finds gdlab in `path` alone, and return what it prints."""
    start = f"import sys\nsys.path.insert(0, {str(path)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_a_wheel_takes_no_common_names(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} <= {"gdlab", "hydra_plugins"}
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.parametrize("folder", ["gdlab", "conf", "server", "hydra_plugins"])
def test_a_wheel_carries_everything(wheel, folder):
    here = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*") if path.is_file()}
    inside = {name.removeprefix("gdlab/_app/") for name in zipfile.ZipFile(wheel).namelist()}
    missing = {name for name in here - inside if "__pycache__" not in name}
    assert here
    assert not missing


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a checkout of git")
def test_no_source_file_is_ignored():
    files = [
        str(path.relative_to(ROOT))
        for folder in (
            "gdlab",
            "conf",
            "server",
            "hydra_plugins",
            "tests",
            "experiments",
            "benchmarks",
            "docs",
        )
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    # A runs/ or build/ among the modules must not be taken for what trainings and builds leave behind.
    files += ["gdlab/runs/x.py", "server/pages/runs/x.py", "server/build/x.py"]
    command = ["git", "check-ignore", "--no-index", "--stdin"]
    done = subprocess.run(command, cwd=ROOT, input="\n".join(files), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr


def test_an_installed_gdlab_finds_its_app(installed, tmp_path):
    code = """
from gdlab.app_path import conf_dir, make_server_importable, server_dir
make_server_importable()
import server
from pathlib import Path
assert Path(server.__file__).parent == server_dir()
print(conf_dir())
"""
    assert python(code, path=installed, cwd=tmp_path) == str(installed / "gdlab" / "_app" / "conf")


def test_an_installed_gdlab_trains_and_shows(installed, tmp_path):
    train = """
sys.argv = ["gdlab", "problem=rosenbrock", "train.steps=3", "hydra.run.dir=run"]
from gdlab.__main__ import main
main()
"""
    python(train, path=installed, cwd=tmp_path)
    show = """
from gdlab.app_path import make_server_importable, server_dir
make_server_importable()
from bokeh.application import Application
from bokeh.application.handlers import DirectoryHandler
handler = DirectoryHandler(filename=str(server_dir()), argv=["."])
document = Application(handler).create_document()
assert not handler.failed, handler.error_detail
assert document.roots
import server
print(server.__file__)
"""
    assert python(show, path=installed, cwd=tmp_path).startswith(str(installed))


def test_a_checkout_finds_its_own_app():
    from gdlab.app_path import conf_dir, server_dir

    assert (conf_dir(), server_dir()) == (ROOT / "conf", ROOT / "server")


def test_a_damaged_installation_is_named(tmp_path, monkeypatch):
    from gdlab import app_path

    monkeypatch.setattr(app_path, "_PACKAGE", tmp_path / "gdlab")
    with pytest.raises(FileNotFoundError, match="install gdlab again"):
        app_path.conf_dir()


def test_the_core_asks_for_no_more_than_it_says():
    assert sorted(re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]) == sorted(CORE)


def test_the_core_is_enough_for_the_line_search_and_conjugate_gradients(tmp_path):
    code = """
import jax, jax.numpy as jnp, gdlab, optax
search = gdlab.two_phase(lambda eta: ((eta - 2.0) ** 2, 2 * (eta - 2.0)), initial=0.1, sigma=0.01)
assert abs(search.step_size - 2.0) < 0.05, search

def loss(x):
    return jnp.sum((x - 1) ** 2 * jnp.arange(1.0, 4.0))

params = jnp.zeros(3)
optimizer = gdlab.conjugate_gradient()
state = optimizer.init(params)
for _ in range(3):
    value, grads = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(grads, state, params, value=value, grad=grads, value_fn=loss)
    params = optax.apply_updates(params, updates)
assert loss(params) < 1e-3, params
assert loss(gdlab.minimize(loss, jnp.zeros(3)).x) < 1e-3
try:
    import hydra
except ModuleNotFoundError:
    print("core only")
"""
    assert python(CORE_ONLY + code, ",".join(CORE), path=ROOT, cwd=tmp_path) == "core only"


def names_of(*extras):
    """The distributions that the core and some extras ask for, those within an extra too."""
    found, todo = set(), [*PROJECT["dependencies"]]
    todo += [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    while todo:
        line = todo.pop()
        within = re.match(r"gdlab\[([\w,-]+)\]", line)
        if within:
            todo += [one for extra in within[1].split(",") for one in PROJECT["optional-dependencies"][extra]]
        else:
            found.add(re.match(r"[\w-]+", line)[0].lower())
    return ",".join(sorted(found))


REFUSED = """
import io, contextlib
def refused(call):
    try:
        call()
    except SystemExit as ended:
        return str(ended.code)
    raise AssertionError("nothing was refused")
"""


def test_an_extra_costs_what_it_gives():
    record, app, export = (set(names_of(extra).split(",")) for extra in ("record", "app", "export"))
    assert not record & {"bokeh", "playwright", "scikit-learn"}
    assert record < app < export and export - app == {"playwright"}


def test_every_module_is_brought_by_the_extra_that_is_named_for_it():
    owners = metadata.packages_distributions()
    for extra, modules in EXTRAS.items():
        asked = {name.lower() for name in names_of(extra).split(",")}
        for module in modules:
            found = {name.lower() for name in owners[module]}
            # Two come with another: OmegaConf with Hydra, Tornado with Bokeh.
            assert found & asked or module in ("omegaconf", "tornado"), module


def test_recording_needs_the_extra_record_alone(tmp_path):
    code = (
        REFUSED
        + """
from gdlab import __main__ as door
def command(*words):
    sys.argv = ["gdlab", *words]
    door.main()
network = ("problem=classification", "dataset=galaxy", "model=mlp", "model.features=[4,3]")
command(*network, "optimizer=adam", "train.steps=2", "hydra.run.dir=run")
import gdlab
assert gdlab.open_run("run").state == "finished"
print(refused(lambda: command("experiment=digits_sgd", "hydra.run.dir=digits")))
"""
    )
    said = python(CORE_ONLY + code, names_of("record"), path=ROOT, cwd=tmp_path).splitlines()[-1]
    assert "dataset=digits comes with scikit-learn" in said and "pip install 'gdlab[app]'" in said
    assert not (tmp_path / "digits").exists()


def test_the_core_reads_runs_and_says_what_it_lacks_for_the_rest(tmp_path):
    from gdlab.store import ArraySpec, RunWriter

    config = {"name": "a", "problem": {"_target_": "gdlab.problems.beale"}, "seed": 3}
    layout = {"config": config, "identity": {}, "arrays": {"x": ArraySpec()}, "pyramids": ()}
    with RunWriter.create(tmp_path / "run", **layout) as writer:
        writer.append({"x": [1.0]})
    code = (
        REFUSED
        + """
import gdlab
from gdlab import __main__ as door
assert gdlab.open_run("run").config["seed"] == 3
sys.argv = ["gdlab", "problem=beale"]
print(refused(door.main))
with contextlib.redirect_stderr(io.StringIO()) as said:
    sys.argv = ["gdlab-serve", "."]
    assert refused(door.serve) == "1"
print(said.getvalue().strip())
"""
    )
    lines = python(CORE_ONLY + code, names_of(), path=ROOT, cwd=tmp_path).splitlines()
    assert lines == [
        "gdlab: hydra is not installed: pip install 'gdlab[record]'",
        "bokeh is not installed: pip install 'gdlab[app]'",
    ]


def test_figures_as_files_name_the_extra_that_they_need(tmp_path):
    (tmp_path / "runs").mkdir()
    code = (
        REFUSED
        + """
import shutil
shutil.which = lambda name: "/usr/bin/true"
from server import export
export._server = contextlib.contextmanager(lambda *_: (yield "http://localhost"))
with contextlib.redirect_stderr(io.StringIO()) as said:
    assert export.main(["runs", "--view", "runs"]) == 2
print(said.getvalue().strip())
"""
    )
    said = python(CORE_ONLY + code, names_of("app"), path=ROOT, cwd=tmp_path)
    assert said == "playwright is not installed: pip install 'gdlab[export]'"


@pytest.mark.parametrize("pins", sorted((ROOT / "constraints").glob("*.txt")), ids=lambda path: path.stem)
def test_pins_are_plain_versions_of_everything_asked_for(pins):
    lines = [line for line in pins.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.+]*", line) for line in lines)
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    extras = PROJECT["optional-dependencies"]
    asked = [*PROJECT["dependencies"], *(line for extra in PINNED for line in extras[extra])]
    names = {re.match(r"[\w-]+", line)[0].lower() for line in asked} - {"gdlab"}
    assert not names - pinned


def test_every_python_gets_the_bokeh_that_the_pages_are_tested_with():
    pinned = {
        path.stem: re.search(r"^bokeh==(\S+)$", path.read_text(), re.MULTILINE)[1]
        for path in (ROOT / "constraints").glob("*.txt")
    }
    assert sorted(pinned) == ["py311", "py312", "py313", "py314"] and set(pinned.values()) == {
        metadata.version("bokeh")
    }
