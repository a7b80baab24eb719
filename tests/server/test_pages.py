"""Every file of conf/page/ names views that exist; what the server imports is quick and without JAX."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from gdlab.plan import targets
from server.core.palette import DARK, LIGHT
from server.shell import pages, theme

ROOT = Path(__file__).resolve().parents[2]
CHECK = """
import sys, time
began = time.process_time()
import server.shell.app, server.shell.pages
for page in server.shell.pages.pages(sys.argv[1]).values():
    for part in page.views:
        server.shell.pages.load(part)
taken = time.process_time() - began
heavy = {"jax", "flax", "optax", "orbax", "hydra", "omegaconf", "scipy", "sklearn", "pandas"}
print(taken, *sorted(heavy & set(sys.modules)))
"""
PARTS = [(page.name, part) for page in pages.pages().values() for part in page.views]
PAGE = "title: Mine\norder: 95\nruns: 1\nviews: "
TARGET = "_target_: server.views.measures.build"
VIEW = f"{{order: 10, {TARGET}"
WORDS = "{order: 1, _target_: server.views.in_words.build"


@pytest.fixture
def described(tmp_path):
    """described(page="text of its file", ...): a folder of one's own with these pages."""

    def write(**texts):
        (tmp_path / "page").mkdir(exist_ok=True)
        for name, text in texts.items():
            (tmp_path / "page" / f"{name}.yaml").write_text(text)
        return str(tmp_path)

    return write


@pytest.mark.parametrize(("page", "part"), PARTS, ids=[f"{page}-{part.name}" for page, part in PARTS])
def test_every_view_builds_from_a_context_and_its_options(page, part):
    build = targets.resolve(part.target, ("page",), part.where)
    bound = inspect.signature(build).bind("a context", **part.options)
    assert bound.arguments["context"] == "a context"


def test_the_tabs_and_their_views_are_in_order():
    found = pages.pages()
    assert list(found)[:3] == ["runs", "descent", "compare"]
    assert [page.runs for page in found.values()][:3] == [0, 1, 2]
    assert [part.name for part in found["descent"].views][:3] == ["in_words", "overlay", "curve"]


def test_a_page_of_ones_own_is_added_and_one_that_is_there_is_altered_view_by_view(described):
    ensemble = f"views: {{pairs: null, heat: {{span: 6}}, mine: {{order: 25, {TARGET}}}}}"
    found = pages.pages(described(mine=PAGE + f"{{a: {VIEW}}}}}", ensemble=ensemble))
    assert list(found)[-1] == "mine" and found["mine"].views[0].target == "server.views.measures.build"
    views = {part.name: part for part in found["ensemble"].views}
    assert list(views)[:4] == ["head", "parallel", "mine", "heat"] and "pairs" not in views
    assert views["heat"].options == {"span": 6, "at_once": True}
    assert found["ensemble"].title == "Ensemble" and found["descent"] == pages.pages()["descent"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("odd", "[]", "a page is a mapping"),
        ("odd", "a: [", "not YAML"),
        ("odd", "title: Mine", "'order' must be given, as int"),
        ("odd", "titel: Mine\norder: 5", "no option 'titel'; allowed: title.*Did you mean 'title'"),
        ("odd", PAGE + "{}\ntitles: x", "no option 'titles'.*Did you mean 'title'"),
        ("odd", PAGE + "{a: 3}", "views.a: 'order' must be given, as int"),
        ("odd", PAGE + "{a: {order: 1}}", "views.a: '_target_' must be given, as str"),
        ("odd", PAGE + f"{{a: {VIEW}, wide: 3}}}}", "views.a: .*no option 'wide'; it takes none"),
        ("odd", PAGE + f"{{a: {WORDS}, pge: line}}}}", "no option 'pge'; it takes page. Did you mean 'page'"),
        ("odd", PAGE + f"{{a: {WORDS}}}}}", "cannot be built: missing a required argument: 'page'"),
        (
            "odd",
            PAGE + "{a: {order: 1, _target_: server.views.validaton.build}}",
            "Did you mean 'server.views.validation.build'",
        ),
        ("odd", PAGE + "{a: {order: 1, _target_: server.views.measures.System}}", "conf/page holds"),
        ("odd", PAGE + "{a: {order: 1, _target_: os.system}}", "GDLAB_TARGETS=os"),
        ("descent", "views: {a: {order: 1, _target_: os.system}}", "GDLAB_TARGETS=os"),
        ("descent", "views: [a]", "'views' must be given, as dict"),
        ("Odd", PAGE + "{}", "a-z, 0-9 and _"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_by_name(described, name, text, said, monkeypatch):
    monkeypatch.delenv("GDLAB_TARGETS", raising=False)
    with pytest.raises(targets.ConfigError, match=rf"(?s){name}\.yaml.*{said}") as refused:
        pages.pages(described(**{name: text}))
    assert "\n" not in str(refused.value)


def test_a_folder_without_pages_is_refused(tmp_path):
    with pytest.raises(targets.ConfigError, match=r"--config-dir .*there is no page/NAME\.yaml"):
        pages.pages(str(tmp_path))


def test_importing_the_server_imports_nothing_heavy(described):
    """The time is shown where it fails, not judged: a loaded machine proves nothing."""
    command = [sys.executable, "-c", CHECK, described(mine=PAGE + f"{{a: {VIEW}}}}}")]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
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
