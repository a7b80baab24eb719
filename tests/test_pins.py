"""The versions in constraints/ solve: every extra, and what others record with, for every Python."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Their many parts belong to one kind of hardware: that they solve is looked at, their versions are not kept.
UNPINNED = ("cuda", "bench-torch")
SECONDS = 120  # a resolver that takes longer has no answer
PINS = sorted((ROOT / "constraints").glob("*.txt"))


def asked(extras):
    """The requirements of gdlab and of some extras, those within an extra too."""
    todo = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    found = set()
    while todo:
        line = todo.pop()
        within = re.fullmatch(r"gdlab\[([\w,-]+)\]", line)
        if within:
            todo += [one for extra in within[1].split(",") for one in EXTRAS[extra]]
        else:
            found.add(line)
    return sorted(found)


def resolved(folder, requirements, pins):
    """(the run of uv, {distribution: version} of what it would install under the pins, on their Python).

    The index is the one that this machine's pip has; that of each Python need not be installed.
    """
    (folder / "asked.txt").write_text("\n".join(requirements))
    version = re.fullmatch(r"py3(\d+)", pins.stem)[1]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--python-version", f"3.{version}.9", "-c", str(pins), str(folder / "asked.txt")]
    index = [flag for address in _indexes() for flag in ("--index", address)]
    done = subprocess.run([*command, *index], capture_output=True, text=True, timeout=SECONDS)
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return done, {canonical(name): found for name, _, found in (line.partition("==") for line in lines)}


def _indexes():
    """What pip is configured to ask here, which uv does not read."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    return re.findall(r"^global\.index\S*='(\S+)'$", done.stdout, re.MULTILINE)


def canonical(name):
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def pinned(pins):
    lines = [line for line in pins.read_text().splitlines() if line and not line.startswith("#")]
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines)}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Skips where no package index answers for a single small package."""
    done, _ = resolved(tmp_path_factory.mktemp("probe"), ["iniconfig"], PINS[0])
    if done.returncode:
        pytest.skip(f"no package index is within reach: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


@pytest.mark.parametrize("pins", PINS, ids=lambda path: path.stem)
def test_the_extras_and_their_rivals_solve_together_and_are_pinned(index, tmp_path, pins):
    requirements = asked([name for name in EXTRAS if name not in UNPINNED])
    done, found = resolved(tmp_path, requirements, pins)
    assert done.returncode == 0, done.stderr
    kept = pinned(pins)
    assert {name: version for name, version in found.items() if kept.get(name) != version} == {}
    names = {canonical(re.match(r"[\w.-]+", line)[0]) for line in requirements}
    assert names - found.keys() <= {"tensorflow-cpu"}  # which is not of every Python and system


def test_so_do_those_of_one_kind_of_hardware(index, tmp_path):
    pins = ROOT / "constraints" / "py{}{}.txt".format(*sys.version_info)
    if pins not in PINS:
        pytest.skip(f"{pins.name} is not there: nothing is pinned for this Python")
    done, found = resolved(tmp_path, asked(EXTRAS), pins)
    assert done.returncode == 0, done.stderr
    kept = pinned(pins)
    assert {name for name in found.keys() & kept.keys() if kept[name] != found[name]} == set()


def test_a_pin_that_shuts_out_an_extra_is_found(index, tmp_path):
    pins = tmp_path / "py312.txt"
    pins.write_text("python-dateutil==4.0.0\npillow==13.0.0\n")
    shut_out = [line for line in EXTRAS["rivals"] if line.startswith(("s3fs", "trackio"))]
    done, _ = resolved(tmp_path, shut_out, pins)
    assert done.returncode != 0 and "unsatisfiable" in done.stderr.replace("\n", " ")
