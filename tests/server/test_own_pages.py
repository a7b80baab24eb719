"""A page, a view and a probe of one's own in a real session; and that nothing else gets in."""

import subprocess
import sys

import pytest

from benchmarks.readers import Reader
from server import export
from tests import recording
from tests.apart import run_apart
from tests.documents import blocks
from tests.server.test_serving import ROOT, started

OWN = '''
import numpy as np
from bokeh.models import Div

from gdlab.records import Table
from server.core.context import View
from server.ui.query import Query


def greeting(context, *, words="hello"):
    """Names the runs of the page."""
    text = f"{words} from {', '.join(context.selected)}"
    return View(Div(text=text, name="own_greeting", render_as_text=True), lambda: None)


def counted(context):
    """Asks the worker."""
    said = Div(text="not yet", name="own_counted", render_as_text=True)
    query = Query(
        context,
        lambda table: said.update(text=f"twice as many iterations: {table.columns['n'][0]:g}"),
        failed=lambda why: said.update(text=why),
    )
    query.probe(context.run(context.selected[0]), "own_views.iterations", {"scale": 2})
    return View(said, lambda: None)


def iterations(replay, *, progress, scale):
    """A probe: how many there are."""
    return Table({"n": np.array([scale * replay.run.rows("scalars")])}, {"n": ("i",)}, {})
'''
MINE = """
title: Mine & yours
order: 15
runs: 1
views:
  greeting: {order: 10, _target_: own_views.greeting, words: good morning}
  counted: {order: 20, _target_: own_views.counted}
"""
LINE = "views: {own: {order: 5, _target_: own_views.greeting}}"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """runs/: a run; conf/: a page, and a view in one that is there; code/: what they name."""
    root = tmp_path_factory.mktemp("own")
    recording.rosenbrock(root / "runs" / "first")
    (root / "conf" / "page").mkdir(parents=True)
    (root / "conf" / "page" / "mine.yaml").write_text(MINE)
    (root / "conf" / "page" / "line.yaml").write_text(LINE)
    (root / "code").mkdir()
    (root / "code" / "own_views.py").write_text(OWN)
    return root


@pytest.fixture
def command(root, monkeypatch):
    """The server's, of the folders of `root`."""
    monkeypatch.setenv("PYTHONPATH", str(root / "code"))
    monkeypatch.setenv("GDLAB_TARGETS", "own_views")
    return ["server", str(root / "runs"), "--config-dir", str(root / "conf"), "--port", "0", "--no-browser"]


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["one", "two"])
def test_a_page_and_a_view_of_ones_own_are_shown(root, command, processes):
    async def look(address):
        reader = Reader(address, 120)
        await reader.open(until="twice as many iterations: 54", page="mine", run="first")
        assert "good morning from first" in reader.seen
        await reader.act("page", "line", until="page_line")
        assert "hello from first" in reader.seen
        reader.close()

    with started(*command, *processes) as (_, port):
        run_apart(look(f"http://localhost:{port}/server"))


def test_bokehs_own_command_shows_them_too(root, command):
    async def look(address):
        reader = Reader(address, 120)
        await reader.open(until="good morning from first", page="mine", run="first")
        assert "Mine &amp; yours" in reader.document or "page_mine" in reader.seen
        reader.close()

    with started("bokeh", "serve", "server", "--port", "0", "--args", *command[1:4]) as (_, port):
        run_apart(look(f"http://localhost:{port}/server"))


def test_the_views_of_the_tutorial_are_shown_as_described(root, tmp_path, monkeypatch):
    (tmp_path / "my_conf" / "page").mkdir(parents=True)
    for block in blocks(ROOT / "docs" / "tutorials" / "parts.md"):
        if block.file and (block.file.endswith(".py") or block.file.startswith("my_conf/page/")):
            (tmp_path / block.file).write_text(block.code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("GDLAB_TARGETS", "my_view,my_lengths,my_probe")

    async def look(address):
        reader = Reader(address, 120)
        await reader.open(until="of each 20 iterations of first.", page="descent", run="first")
        assert "spread_window" in reader.seen
        reader.close()
        reader = Reader(address, 120)
        words = "Length of all parameters of first, 27 iterations."
        await reader.open(until=words, page="mine", run="first", my_window="5")
        assert "of each 5 iterations of first." in reader.seen
        reader.close()

    conf = ["--config-dir", str(tmp_path / "my_conf"), "--port", "0", "--no-browser"]
    with started("server", str(root / "runs"), *conf) as (_, port):
        run_apart(look(f"http://localhost:{port}/server"))


@pytest.mark.parametrize("way", ["server", "bokeh", "export"])
def test_code_that_is_not_allowed_is_refused_in_one_line_that_says_how_to_allow_it(
    root, command, way, monkeypatch, capsys
):
    monkeypatch.delenv("GDLAB_TARGETS")
    if way == "export":
        code, said = export.main([command[1], "--view", "mine", *command[2:4]]), capsys.readouterr().err
    else:
        bokeh = ["bokeh", "serve", "server", "--port", "0", "--args", *command[1:4]]
        ended = subprocess.run(
            [sys.executable, "-m", *(command if way == "server" else bokeh)],
            cwd=ROOT, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        code, said = ended.returncode, ended.stderr.strip().splitlines()[-1]
    assert code == 2
    assert "views.own" in said and "own_views.greeting" in said and "GDLAB_TARGETS=own_views" in said


def test_a_probe_that_is_not_allowed_is_not_even_imported(root, command, monkeypatch):
    from gdlab.execution.probing import run_probe
    from gdlab.plan.builder import ConfigError

    monkeypatch.setenv("GDLAB_TARGETS", "other_module")
    monkeypatch.syspath_prepend(str(root / "code"))
    monkeypatch.delitem(sys.modules, "own_views", raising=False)
    with pytest.raises(ConfigError, match="GDLAB_TARGETS=other_module,own_views"):
        run_probe(root / "runs" / "first", "own_views.iterations", {"scale": 1})
    assert "own_views" not in sys.modules
