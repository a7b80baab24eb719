"""The pages of the app, as the files of `conf/page/` describe them: one file a page.

A file says the page's `title`, its place among the tabs (`order`), how many runs it needs at least (`runs`),
and its `views`: {name: {order, _target_, options of the target}}. A target is `build(context, **options)` and
returns a View. A folder of one's own (`--config-dir`) holds such files, too. One of a new name is a page of
its own; one of a name that is there holds only what is to be different: a view is added or altered by its
name, or left out by null. Functions of one's own are called where GDLAB_TARGETS allows it
(`gdlab.plan.targets`).
"""

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from gdlab.app_path import conf_dir
from gdlab.plan import targets
from gdlab.plan.targets import ConfigError, nearest, short

if TYPE_CHECKING:  # the process that checks the descriptions before it starts others needs no Bokeh
    from server.core.context import Context, View

FOLDER = "page"
KEYS = {"title": str, "order": int, "runs": int, "views": dict}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class Part(NamedTuple):
    """A view of a page: its name there, its target, the target's options, and the file that says so."""

    name: str
    target: str
    options: Mapping[str, Any] = {}
    file: str = ""

    @property
    def where(self) -> str:
        """Its place, for messages."""
        return f"{self.file}: views.{self.name}"


class Page(NamedTuple):
    """A tab: name in the address, title, runs that it needs, and its views in order."""

    name: str
    title: str
    runs: int
    views: tuple[Part, ...]


@cache
def pages(config_dir: str = "") -> dict[str, Page]:
    """{name: Page} in the order of their tabs. config_dir: a folder of one's own, "" for none.

    Raises ConfigError where a file is not as it should be, or names what may not be called.
    """
    described = {path.stem: (path, _read(path)) for path in _files(conf_dir())}
    own = {path.stem: (path, _read(path)) for path in _files(Path(config_dir))} if config_dir else {}
    if config_dir and not own:
        raise ConfigError(f"--config-dir {config_dir}: there is no {FOLDER}/NAME.yaml in it")
    found = []
    for name in {**described, **own}:
        path, description = own.get(name) or described[name]
        if name in own and name in described:
            description = _merged(described[name][1], description)
        page, order = _page(name, path, description)
        for part in page.views if name in own else ():
            _check(part)
        found.append((order, page))
    return {page.name: page for _, page in sorted(found, key=lambda each: each[0])}


def unknown(asked: str | None, known: dict[str, Page], shown: str) -> str:
    """That there is no page of the name that an address asks for, and what is shown instead; else ""."""
    if asked is None or asked in known:
        return ""
    return f"There is no page {short(asked)}.{nearest(asked, known)} This is {known[shown].title}."


def load(part: Part) -> "Callable[[Context], View]":
    """What builds a view, with the options of its description; imported when its page is first opened.

    Raises ConfigError where it may not be called.
    """
    build = targets.resolve(part.target, (FOLDER,), part.where)
    return lambda context: build(context, **part.options)


def prefetch(part: Part) -> "Callable[[Context], object] | None":
    """What a view's module may have beside its target, see `server.shell.prefetching`; None without it."""
    targets.resolve(part.target, (FOLDER,), part.where)
    return getattr(importlib.import_module(part.target.rpartition(".")[0]), "prefetch", None)


# -- descriptions -------------------------------------------------------------------------------------


def _files(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.yaml"))


def _read(path: Path) -> dict:
    try:
        description = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(description, dict):
        raise ConfigError(f"{path}: a page is a mapping with the keys {', '.join(KEYS)}")
    if not _NAME.fullmatch(path.stem):
        raise ConfigError(f"{path}: a page's name is made of a-z, 0-9 and _, and has 32 characters at most")
    return description


def _merged(described: dict, own: dict) -> dict:
    """A description with what another one says differently; of a view, too."""
    views = {**described["views"]}
    changed = own.get("views") or {}
    for name, view in changed.items() if isinstance(changed, dict) else ():
        old = views.get(name)
        views[name] = {**old, **view} if isinstance(old, dict) and isinstance(view, dict) else view
    return {**described, **own, "views": views if isinstance(changed, dict) else changed}


def _page(name: str, path: Path, description: dict) -> tuple[Page, int]:
    for key in description:  # before those that are missing: one that is misspelt is both
        if key not in KEYS:
            allowed = f"allowed: {', '.join(KEYS)}.{nearest(str(key), KEYS)}"
            raise ConfigError(f"{path}: no option {short(key)}; {allowed}")
    for key, kind in KEYS.items():
        if not isinstance(description.get(key), kind) or isinstance(description[key], bool):
            raise ConfigError(f"{path}: '{key}' must be given, as {kind.__name__}")
    views = {key: view for key, view in description["views"].items() if view is not None}
    for key, view in views.items():
        for option, kind in (("order", int), ("_target_", str)):
            if not isinstance(view, dict) or not isinstance(view.get(option), kind):
                raise ConfigError(f"{path}: views.{key}: '{option}' must be given, as {kind.__name__}")
    ordered = sorted(views.items(), key=lambda item: item[1]["order"])
    parts = tuple(_part(str(key), view, path) for key, view in ordered)
    return Page(name, description["title"], description["runs"], parts), description["order"]


def _part(name: str, view: dict, path: Path) -> Part:
    options = {key: value for key, value in view.items() if key not in ("order", "_target_")}
    return Part(name, view["_target_"], options, str(path))


def _check(part: Part) -> None:
    """Whether a view may be built, and takes its options; imports it."""
    build = targets.resolve(part.target, (FOLDER,), part.where)
    taken = inspect.signature(build).parameters
    allowed = [
        name for name, one in taken.items() if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    allowed = [name for name in allowed if name != next(iter(taken))]  # the context
    if not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        for key in part.options:
            if key not in allowed:
                may = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
                hint = nearest(str(key), allowed)
                raise ConfigError(
                    f"{part.where}: {short(part.target)} has no option {short(key)}; {may}.{hint}"
                )
    try:
        inspect.signature(build).bind(None, **part.options)
    except TypeError as error:
        raise ConfigError(f"{part.where}: {short(part.target)} cannot be built: {error}") from error
