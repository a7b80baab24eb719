"""What a view is given: the runs on its page, the colours in force, the address, the other views.

A view module has one function, `build(context) -> View`. It draws once; afterwards the page calls
`update()` whenever the record of one of its runs has grown. Views never know each other: what one
of them wants the others to know it emits as an event, and what must survive a reload it writes to
`context.state`.

Events that the page itself emits: "refresh" (a record has grown; after every view's update), "show"
(the page comes to the front, where another one may have changed the address meanwhile),
"iteration" (k: another iteration is selected), "step" (-1 or +1: the reader pressed an arrow key),
"log" (the reader pressed `l`), "back" (Esc), "theme" (the palette changed; glyphs painted with
`paint` are already right), "colour" (name: a run has another colour). Views add their own, such as
"crosshair" or "range".
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import NamedTuple

from bokeh.models import InlineStyleSheet, LayoutDOM

from server.core import hyper, palette
from server.core.address import UrlState
from server.core.faults import CAUSED_ELSEWHERE, logged
from server.core.mailbox import Mailbox

log = logging.getLogger(__name__)

MAX_ITERATION = 10**12
MAX_SELECTED = 50  # runs that a page shows at once
LABEL = 48  # characters of a label in a legend
FAILED = "A part of the page could not follow what was chosen and shows what it did before; the log says why."
CSS = (Path(__file__).parents[1] / "static" / "widgets.css").read_text(encoding="utf-8")


class View(NamedTuple):
    """root: what is shown; update(): reads the record again, without touching zoom or widgets."""

    root: LayoutDOM
    update: Callable[[], None]


class Context:
    """One page of one session: made anew whenever other runs are chosen.

    root: the runs folder; doc: the session's document; mail: the only way to it from a thread;
    dark, palette: the theme in force; state: the address (`UrlState`); selected: names of the runs on
    this page, at least one for the pages that need runs; worker: `submit(run_path, probe, options,
    on_progress=, on_done=, on_error=) -> Job`, whose callbacks arrive in this session's event loop;
    download(file_name, text or bytes): saves a file on the reader's machine; open_runs(names, page=None):
    chooses runs and shows them; cache: the runs folder's listing and readers; sheet: the stylesheet that
    every layout and widget of the page takes (`stylesheets=[context.sheet]`); control: whether this server
    lets readers ask trainings for something.
    """

    def __init__(
        self,
        *,
        root: Path,
        doc,
        mail: Mailbox,
        cache,
        state: UrlState,
        worker,
        download,
        open_runs,
        selected=(),
        dark=False,
        control=False,
    ):
        self.root, self.doc, self.mail = Path(root), doc, mail
        self.state, self.worker = state, worker
        self.download, self.open_runs = download, open_runs
        self.sheet = InlineStyleSheet(css=CSS)
        self.selected: tuple[str, ...] = tuple(selected)
        self.dark, self.control = dark, control
        self.cache = cache
        self._listeners: dict[str, list[Callable]] = defaultdict(list)
        self._labels: dict[str, str] = {}
        self._shared: dict[Callable, object] = {}
        self._making = RLock()
        self._painted: list[tuple[object, str, object]] = []

    def shared(self, make: Callable):
        """make(self), made once: what views of one page share. It goes with the page (a dictionary of the
        process whose values know their weak keys would keep every page there ever was)."""
        with self._making:  # a page is prefetched in a thread
            if make not in self._shared:
                self._shared[make] = make(self)
            return self._shared[make]

    @property
    def palette(self) -> palette.Palette:
        """The colours of the theme that is shown."""
        return palette.palette(self.dark)

    def run(self, name: str):
        """The run of that name: one reader, shared by all sessions.

        Raises StoreError where the name lies outside the runs folder, is no run, or is damaged.
        """
        return self.cache.run(name)

    @property
    def iteration(self) -> int | None:
        """The selected iteration k, or None; setting it writes the address and emits "iteration"."""
        k = self.state.get("k", -1, low=0, high=MAX_ITERATION)
        return None if k < 0 else k

    @iteration.setter
    def iteration(self, k: int | None) -> None:
        if k != self.iteration:
            self.state.set("k", None if k is None else int(k))
            self.emit("iteration", k)

    # -- runs: colours and labels -----------------------------------------------------------------

    def colour(self, name: str) -> str:
        """The run's colour: set by the reader, else that of its name; no other run of the page has it."""
        chosen = hyper.chosen_colours(self.state.get_all("colour"))
        return chosen.get(name) or hyper.colours(self.selected, self.palette.runs, name)

    def set_colour(self, name: str, colour: str | None) -> None:
        """Chooses a run's colour ("#rrggbb"; None: back to the usual one) and emits "colour"."""
        chosen = hyper.chosen_colours(self.state.get_all("colour"))
        chosen.pop(name, None)
        if colour is not None:
            chosen[name] = colour
        self.state.set("colour", [f"{hue[1:]}:{run}" for run, hue in chosen.items()])
        self.emit("colour", name)

    def label(self, name: str) -> str:
        """The run's name in a legend: the hyper-parameters that differ on this page, else its name."""
        if name not in self._labels:  # every label compares the settings of all runs, which do not change
            self._labels = hyper.labels(self.selected, self.cache.configuration)
        return self._labels[name]

    def short_label(self, name: str) -> str:
        """`label`, or the run's name where what differs is too much for a legend."""
        label = self.label(name)
        return label if len(label) <= LABEL else name

    # -- events -----------------------------------------------------------------------------------

    def on(self, event: str, callback: Callable) -> None:
        """Calls `callback(*args)` at every `emit(event, *args)` for as long as this page exists."""
        self._listeners[event].append(callback)

    def emit(self, event: str, *args) -> None:
        """Calls the event's listeners in the order of their registration.

        A listener that fails is logged and does not keep the others from being called; the reader is told.
        """
        for callback in list(self._listeners[event]):
            try:
                callback(*args)
            except Exception as error:
                said = logged(log, f"a listener of the event {event!r} failed", error)
                if bridge := self.doc.get_model_by_name("bridge"):
                    bridge.notice = said if isinstance(error, CAUSED_ELSEWHERE) else FAILED

    # -- theme ------------------------------------------------------------------------------------

    def paint(self, model, **roles) -> object:
        """Gives properties of a model the colour of a role, now and after every change of theme.

        context.paint(renderer.glyph, line_color="segment", fill_color=lambda p: p.categories[2])
        A role is a name of `Palette`, or a function of the palette. Returns the model. A property
        that carries data of the view (an image, a source's colours) is set on the event "theme".
        """
        for name, role in roles.items():
            self._painted.append((model, name, role))
            setattr(model, name, self.palette.colour(role))
        return model

    def restyle(self, dark: bool) -> None:
        """Repaints everything that was painted, then emits "theme"."""
        self.dark = dark
        for model, name, role in self._painted:
            setattr(model, name, self.palette.colour(role))
        self.emit("theme")

    def close(self) -> None:
        """The page is gone: forgets its listeners and glyphs."""
        self._listeners.clear()
        self._painted.clear()
        self._shared.clear()
