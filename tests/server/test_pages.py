"""Every file of conf/view/ names a view that exists; what the server imports is quick and without JAX."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from gdlab.app_path import conf_dir
from server.core.palette import DARK, LIGHT
from server.shell import pages, theme

ROOT = Path(__file__).resolve().parents[2]
CHECK = """
import sys, time
began = time.process_time()
import server.shell.app, server.shell.pages
for page in server.shell.pages.pages().values():
    for target in page.targets:
        server.shell.pages.load(target)
taken = time.process_time() - began
heavy = {"jax", "flax", "optax", "orbax", "hydra", "scipy", "sklearn", "pandas"} & set(sys.modules)
print(taken, *sorted(heavy))
"""


@pytest.mark.parametrize("target", [target for page in pages.pages().values() for target in page.targets])
def test_every_view_builds_from_a_context(target):
    assert list(inspect.signature(pages.load(target)).parameters) == ["context"]


def test_the_tabs_are_in_order():
    assert list(pages.pages())[:3] == ["runs", "descent", "compare"]
    assert [page.runs for page in pages.pages().values()][:3] == [0, 1, 2]


@pytest.mark.parametrize(
    "text", ["[]", "page: x", "{_target_: os.system, page: x, title: X, order: 1, runs: 0}", "runs: many"]
)
def test_a_file_that_is_not_as_it_should_be_is_refused_by_name(tmp_path, monkeypatch, text):
    (tmp_path / "view").mkdir()
    (tmp_path / "view" / "odd.yaml").write_text(text)
    monkeypatch.setattr(pages, "conf_dir", lambda: tmp_path)
    pages.pages.cache_clear()
    with pytest.raises(ValueError, match=r"odd\.yaml"):
        pages.pages()
    pages.pages.cache_clear()
    assert conf_dir() != tmp_path


def test_importing_the_server_imports_nothing_heavy():
    """The time is shown where it fails, not judged: a loaded machine proves nothing."""
    found = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.split()[1:] == [], found.stdout


def test_the_dark_theme_has_no_light_colour_left():
    light = {getattr(LIGHT, role) for role in theme.ROLES}
    used = {value for attrs in theme.bokeh_theme(True)._json["attrs"].values() for value in attrs.values()}
    assert not light & used
    assert {getattr(DARK, role) for role in theme.ROLES} & used


def test_palettes_have_the_same_shape():
    for this in (LIGHT, DARK):
        assert len(this.categories) == 6
        assert len(this.horizon) == 3
        assert len(this.magnitudes) == len(this.signed) == 256
    assert LIGHT.magnitudes == DARK.magnitudes[::-1]
    assert LIGHT.colour("ink") == LIGHT.colour(lambda p: p.ink) == "#1d2430"
