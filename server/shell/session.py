"""One reader's visit: the page that is shown, the runs on it, the theme, the live refresh.

Pages are built when they are first opened and kept, so that going back finds them as they were;
choosing other runs builds anew. A view that fails becomes a card that says so, and leaves the rest
of the page working.
"""

import base64
import json
import logging
from pathlib import Path

from server.core.address import UrlState
from server.core.context import MAX_SELECTED, Context
from server.core.faults import CAUSED_ELSEWHERE
from server.core.mailbox import Mailbox
from server.core.runs_cache import RunsCache
from server.core.threads import run_in_thread
from server.core.worker import Asked, SessionWorker
from server.shell import building, pages, prefetching, run_bar, theme
from server.shell.bridge import Bridge, read_event
from server.shell.building import Shown
from server.shell.pages import Page
from server.ui import card

log = logging.getLogger(__name__)

REFRESH = 2000  # ms
KEPT = ("page", "run", "theme", "pause", "colour", "filter", "sort", "hide")  # whatever runs are shown


class Session:
    """The state of one document. `start` adds its roots; everything after that is events.

    tabs: {name: Page} of its pages, the app's own unless given. control: the reader may stop trainings.
    """

    def __init__(
        self, doc, root: Path, arguments, cache: RunsCache, worker: Asked,
        tabs: dict[str, Page] | None = None, control: bool = False,
    ):  # fmt: skip
        self.doc, self.root, self.cache, self.control = doc, Path(root), cache, control
        self.pages = pages.pages() if tabs is None else tabs
        self.bridge = Bridge(name="bridge")
        self.state = UrlState(arguments, self._write_address)
        self.mail = Mailbox(doc)
        self.worker = SessionWorker(worker, self.mail)
        self.dark = self.state.get("theme", "light", choices=("light", "dark")) == "dark"
        self.paused = self.state.get("pause", False)
        self._built: dict[str, Shown] = {}
        self._current: Shown | None = None
        self._awaited: object | None = None  # the page that is being prefetched
        self._prefetched: tuple | None = None  # its runs, and what _opened made of them

    @property
    def selected(self) -> tuple[str, ...]:
        """Names of the chosen runs, as the address gives them; whether they can be read shows later."""
        return self.state.get_all("run")[:MAX_SELECTED]

    def start(self) -> None:
        """Adds the root; the page is built once the browser has been answered and its record been read."""
        context = self._context(())
        self.main = card.box(context, card.loading_card(context, ""), classes=["gd-pages"], name="main")
        self.main.tags = [self.bridge]
        self.bridge.theme = "dark" if self.dark else "light"
        self.bridge.page = self.page
        self.bridge.notice = pages.unknown(self.state.get("page"), self.pages, self.page)
        theme.apply(self.doc, self.dark)
        self.bridge.on_change("event", lambda attr, old, new: self._receive(new))
        self.doc.add_root(self.main)
        self._prefetch(self.pages[self.page], prefetching.HEAD_START)
        self.doc.add_periodic_callback(self.tick, REFRESH)
        for mine in (self.worker, self.mail):
            self.doc.on_session_destroyed(lambda _, mine=mine: mine.close())

    @property
    def page(self) -> str:
        """The name of the tab that the address asks for; the run list where it asks for none."""
        names = list(self.pages)
        usual = self._first_for_a_run if self.selected else names[0]
        return self.state.get("page", usual, choices=names)

    @property
    def _first_for_a_run(self) -> str:
        return next((page.name for page in self.pages.values() if page.runs == 1), next(iter(self.pages)))

    # -- pages ------------------------------------------------------------------------------------

    def go(self, name: str) -> None:
        """Shows a page; where its views read much before they are built, when they have."""
        page = self.pages[name]
        if self._stands(page) or not prefetching.needed(page):
            self.show(name)
            return
        for built in self._built.values():
            built.root.visible = False
        loading = card.loading_card(self._context(()), f"{page.title}: reading the record …")
        self.main.children = [*(built.root for built in self._built.values()), loading]
        self._current = None
        self.bridge.page = name
        self._prefetch(page)

    def show(self, name: str) -> None:
        """Brings a page to the front, building it where it does not exist for the chosen runs."""
        page = self.pages[name]
        if not self._stands(page):
            if name in self._built:
                self._built[name].context.close()
            self._built[name] = self._build(page)
        self._bring(page, self._built[name])

    def _bring(self, page: Page, shown: Shown) -> None:
        self._awaited = None
        self.main.children = [built.root for built in self._built.values()]
        for built in self._built.values():
            built.root.visible = built is shown
        self._current = shown
        self.bridge.page = page.name
        self.doc.title = " · ".join(["gdlab", *(self.selected[:3] if page.runs else ())])
        self._follow(shown)
        shown.context.emit("show")
        self._tell_status()

    def _stands(self, page: Page) -> bool:
        """Whether a page has been built for the chosen runs."""
        shown = self._built.get(page.name)
        if shown is None or (page.runs and shown.wanted != self.selected):
            return False
        return not self._replaced(shown)

    def open(self, names, page: str | None = None) -> None:
        """Chooses runs and shows them: alone the descent, several side by side or on one axis."""
        names = tuple(dict.fromkeys(names))[:MAX_SELECTED]
        if names != self.selected:
            self.state.keep(KEPT)
        wanted = page or self._first_for_a_run
        self.state.update({"run": names, "page": wanted})
        self.go(wanted)

    def _prefetch(self, page: Page, least: float = 0.0) -> None:
        """Opens a page's runs and reads what it draws in a thread, for `least` seconds; then builds it,
        unless the reader has gone elsewhere meanwhile."""
        question = self._awaited = object()
        wanted = self.selected if page.runs else ()

        def read() -> tuple:
            opened = self._opened(wanted)
            prefetching.read(page, opened[0], least)
            return wanted, opened

        def arrived(found: tuple | None) -> None:
            if self._awaited is question:
                self._prefetched = found
                self.show(page.name)

        run_in_thread(self, read, arrived, lambda why: arrived(None))

    def _opened(self, wanted) -> tuple[Context, list[tuple[str, Exception]]]:
        """The context of those runs that can be read, and what is wrong with the others."""
        readable, broken = self.cache.readable(wanted)
        return self._context(readable), broken

    def _build(self, page: Page) -> Shown:
        wanted = self.selected if page.runs else ()
        found, self._prefetched = self._prefetched, None
        context, broken = found[1] if found and found[0] == wanted else self._opened(wanted)
        context.restyle(self.dark)
        identities = self.cache.identities(wanted)  # of before: what is replaced meanwhile is old
        root, views = building.build(context, page, broken)
        revision = [self._revision(page, wanted)]
        return Shown(page, context, root, views, self.selected, identities, revision)

    def _context(self, selected) -> Context:
        return Context(
            root=self.root, doc=self.doc, mail=self.mail, cache=self.cache, state=self.state,
            worker=self.worker, download=self.download, open_runs=self.open, selected=selected,
            dark=self.dark, control=self.control,
        )  # fmt: skip

    # -- live -------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Every two seconds: looks for new commits and new runs, unless the reader has paused it."""
        if not self.paused and self._current is not None:
            self.cache.relist()
            self._follow(self._current)
        self._tell_status()

    def _follow(self, shown: Shown) -> None:
        """Lets the views of a page read again what has changed since they last did."""
        revision = self._revision(shown.page, shown.names)
        if self._replaced(shown):
            self.bridge.notice = "A run was put in the place of one that was shown, or can be read by now."
            self.go(shown.page.name)
            return
        if revision == shown.revision[0]:
            return
        shown.revision[0] = revision
        for view in shown.views:
            try:
                view.update()
            except CAUSED_ELSEWHERE as error:
                self.bridge.notice = str(error)
            except Exception:
                log.exception("a view's update failed")
                self.bridge.notice = "A part of the page could not be refreshed; the server's log says why."
        shown.context.emit("refresh")

    def _revision(self, page: Page, names) -> tuple:
        return self.cache.standing(names) if page.runs else (self.cache.listing().revision,)

    def _replaced(self, shown: Shown) -> bool:
        """Whether another run stands under a name that a page shows, or one where there was none."""
        now = self.cache.identities(shown.names)
        return any(new not in (None, old) for old, new in zip(shown.identities, now, strict=True))

    def _tell_status(self) -> None:
        shown = self._current
        if shown is None:
            return
        if shown.page.runs:
            text, live = run_bar.status(shown.context)
        else:
            summaries = [summary for _, summary in self.cache.listing().runs if isinstance(summary, dict)]
            running = sum(summary["state"] == "running" for summary in summaries)
            text, live = f"{running} running" if running else "nothing running", bool(running)
        kind = "paused" if self.paused else "live" if live else "still"
        self.bridge.status = json.dumps({"kind": kind, "text": text})

    # -- what the browser tells -------------------------------------------------------------------

    def _receive(self, text: str) -> None:
        event = read_event(text)
        if event is None:
            return
        kind, value = event
        getattr(self, f"_on_{kind}")(value)

    def _on_page(self, name: str) -> None:
        if name in self.pages:
            self.state.set("page", name)
            self.go(name)

    def _on_open(self, names: list[str]) -> None:
        self.open(names)

    def _on_theme(self, name: str) -> None:
        self.state.set("theme", name)
        self._on_greet(name)

    def _on_greet(self, name: str) -> None:
        """The theme that the browser uses, from its storage or the system's setting."""
        if (name == "dark") != self.dark:
            self.dark = name == "dark"
            self.bridge.theme = name
            theme.apply(self.doc, self.dark)
            for shown in self._built.values():
                shown.context.restyle(self.dark)

    def _on_pause(self, paused: bool) -> None:
        self.paused = paused
        self.state.set("pause", True if paused else None)
        self.tick()

    def _on_step(self, step: int) -> None:
        self._emit("step", step)

    def _on_log(self, _) -> None:
        self._emit("log")

    def _on_sort(self, value: list) -> None:
        self.state.set("sort", ("" if value[1] else "-") + value[0])

    def _on_back(self, _) -> None:
        """First leaves the selected iteration, then the page."""
        if self._current is None:
            return
        context = self._current.context
        if self._current.page.runs and context.iteration is not None:
            context.iteration = None
            context.emit("back")
        else:
            self._on_page(next(iter(self.pages)))

    def _emit(self, event: str, *args) -> None:
        if self._current is not None:
            self._current.context.emit(event, *args)

    # -- what the browser is told -----------------------------------------------------------------

    def download(self, name: str, content: str | bytes) -> None:
        """Saves a file of text or of bytes on the reader's machine."""
        if isinstance(content, bytes):
            self.bridge.file = json.dumps({"name": name, "base64": base64.b64encode(content).decode()})
        else:
            self.bridge.file = json.dumps({"name": name, "text": content})
        self.bridge.file = ""  # so that the document does not keep it

    def _write_address(self, query: str) -> None:
        self.bridge.address = query or "?"
