"""The documentation: it builds without a warning, every block of it is run, and no public name is missing."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gdlab
from gdlab.app_path import conf_dir
from gdlab.commands import overrides, reference, telling
from server.ui import reading
from tests.documents import LANGUAGES, blocks, commands

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
RUN = [path for path in PAGES if any(block.why_not is None for block in blocks(path))]
_PACKAGES = (
    "data",
    "ensemble",
    "exported",
    "findings",
    "interchange",
    "linesearch",
    "models",
    "optim",
    "problems",
    "recorder",
    "store",
)
MODULES = ("gdlab", *(f"gdlab.{name}" for name in _PACKAGES))
READINGS = sorted((ROOT / "server" / "reading").glob("*.md"))


def named(path):
    return str(path.relative_to(ROOT))


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built pages; warnings are errors, and so is whatever asks for a network."""
    folder = tmp_path_factory.mktemp("site")
    code = "import socket, sys\n"
    code += "def refuse(*a, **k): raise OSError('the documentation is built without a network')\n"
    code += "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
    code += "from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder


def test_it_builds_without_a_warning_and_without_a_network(site):
    for path in PAGES:
        assert (site / path.relative_to(DOCS).with_suffix(".html")).exists(), path
    text = (site / "index.html").read_text()
    # Links to other sites are not loaded.
    assert not re.findall(r'(?:src|<link[^>]+href)="https?://[^"]*"', text)


def test_every_public_name_is_in_the_reference(site):
    from sphinx.util.inventory import InventoryFile

    with open(site / "objects.inv", "rb") as file:
        found = InventoryFile.load(file, "", os.path.join)
    documented = {name for kind, names in found.items() if kind.startswith("py:") for name in names}
    public = {f"{module}.{name}" for module in MODULES for name in importlib.import_module(module).__all__}
    assert not public - documented
    # A package that gets public names gets a place in MODULES, and so in the reference.
    with_names = {
        f"gdlab.{path.parent.name}"
        for path in (ROOT / "gdlab").glob("*/__init__.py")
        if "__all__" in path.read_text()
    }
    assert with_names == set(MODULES) - {"gdlab"}


def test_every_public_name_has_words(site):
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            thing = getattr(importlib.import_module(module), name)
            if callable(thing):
                assert inspect.getdoc(thing), f"{module}.{name}"


def test_the_reference_has_every_option_and_probe(site):
    page = re.sub(r"<[^>]+>", "", (site / "reference" / "options.html").read_text())
    for group in reference.groups():
        for choice in group.choices:
            assert f"{group.name}={choice.name}" in page
            assert all(option.key in page for option in choice.options)
    probes = (site / "reference" / "probes.html").read_text()
    for path in (conf_dir() / "probe").glob("*.yaml"):
        assert f'id="gdlab.probes.{path.stem}.compute"' in probes


@pytest.mark.parametrize("page", RUN, ids=named)
def test_what_a_page_shows_is_run(page, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.documents", str(page)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]


PAGE = """
<!-- not run: BECAUSE -->
```python
raise SystemExit("this block is not run")
```
```python
# mine/part.py
value = 3
```
```python
import mine.part
assert mine.part.value == WANTED
```
<!-- not run: needs a network -->
```console
NAME=1 python -m gdlab problem=beale 'a b'  # said
```
"""


@pytest.mark.parametrize("wanted", [3, 4])
def test_a_page_that_is_wrong_fails(tmp_path, wanted):
    (tmp_path / "page.md").write_text(PAGE.replace("WANTED", str(wanted)))
    found = blocks(tmp_path / "page.md")
    assert [block.why_not for block in found] == ["BECAUSE", None, None, "needs a network"]
    assert commands(found[-1]) == [({"NAME": "1"}, ["python", "-m", "gdlab", "problem=beale", "a b"])]
    done = subprocess.run(
        [sys.executable, "-m", "tests.documents", "page.md"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == (0 if wanted == 3 else 1), done.stderr


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=named)
def test_every_command_of_a_page_is_one(page, tmp_path, monkeypatch):
    """Options exist, targets of make exist, extras exist; what is run anyway is looked at all the same."""
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{named(page)}: a block of {block.language}"
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.code)
        for _, words in commands(block) if block.language == "console" else ():
            check(words)


def check(words):
    """Refuse a command that names what there is not."""
    if words[:2] == ["python", "-m"] and words[2] == "gdlab":
        if {"task=runs", "task=summary"} & set(words):
            telling.parsed(words[3:])
        elif not {"--help", "-sc"} & set(words):
            overrides.check(overrides.parsed(words[3:]))
    elif words[:2] == ["python", "-m"] and words[2] == "server":
        from server.__main__ import _parse

        _parse(words[3:])
    elif words[:3] == ["python", "-m", "server.export"]:
        from server.export import _parse as parse_export

        parse_export(words[3:])
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"gdlab\[([\w,]+)\]", " ".join(words))
        project = (ROOT / "pyproject.toml").read_text()
        for extra in ",".join(extras).split(",") if extras else ():
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    else:
        assert words[0] in ("eval", "export", "git", "cd") or words[:3] == ["python", "-m", "bokeh"], words


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_between_pages_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("path", READINGS, ids=lambda path: path.stem)
def test_how_a_picture_is_read(path):
    """Four parts and no more; the app shows the same words behind a card."""
    title, parts = reading.of(path.stem)
    assert title and all(words.endswith(".") for words in parts.values())
    assert f"<!-- gdlab:reading {path.stem} -->" in (DOCS / "reading.md").read_text()


def test_pictures_are_of_views_that_are_explained_and_small():
    pictures = list((DOCS / "pictures").glob("*.webp"))
    assert pictures and sum(path.stat().st_size for path in pictures) < 3_000_000
    names = {
        path.stem.removesuffix("_dark") for path in pictures if not path.stem.startswith(("sick_", "whole"))
    }
    assert names <= {path.stem for path in READINGS}
    assert all((DOCS / "pictures" / f"{name}_dark.webp").exists() for name in names)


def test_the_version_is_said_once_and_everywhere_the_same():
    import yaml

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == gdlab.__version__
    assert re.search(
        rf"^## {re.escape(gdlab.__version__)}", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
