"""The pages of the app, read from `conf/view/`: one file per view, views of the same `page` together.

A file names the view's `build` (`_target_`, of `server.pages` or `server.views`), its page, the page's title,
its place (`order`) and how many runs the page needs at least (`runs`).
"""

import importlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import yaml

from gdlab.app_path import conf_dir

ALLOWED = ("server.pages.", "server.views.")


class Page(NamedTuple):
    """A tab: name in the address, title, runs it needs, and its views' targets in order."""

    name: str
    title: str
    runs: int
    targets: tuple[str, ...]


@cache
def pages() -> dict[str, Page]:
    """{name: Page} in the order of their tabs. Raises ValueError where a file is not as it should be."""
    found: dict[str, Page] = {}
    settings = [_read(path) for path in sorted((conf_dir() / "view").glob("*.yaml"))]
    for setting in sorted(settings, key=lambda setting: setting["order"]):
        page = found.get(setting["page"], Page(setting["page"], setting["title"], setting["runs"], ()))
        found[page.name] = page._replace(targets=(*page.targets, setting["_target_"]))
    return found


def load(target: str) -> Callable:
    """The `build` function that a target names; imported when its page is opened for the first time."""
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)


def prefetch(target: str) -> Callable | None:
    """What a view's module may have beside `build`, see `server.shell.prefetching`; None without it."""
    return getattr(importlib.import_module(target.rpartition(".")[0]), "prefetch", None)


def _read(path) -> dict:
    setting = yaml.safe_load(path.read_text(encoding="utf-8"))
    wanted = {"_target_": str, "page": str, "title": str, "order": int, "runs": int}
    for key, kind in wanted.items():
        if not isinstance(setting, dict) or not isinstance(setting.get(key), kind):
            raise ValueError(f"{path}: '{key}' must be given, as {kind.__name__}")
    if not setting["_target_"].startswith(ALLOWED):
        raise ValueError(f"{path}: _target_ {setting['_target_']!r} must begin with {' or '.join(ALLOWED)}")
    return setting
