"""The line above a page that says which runs it shows: colour, name, what differs, state."""

from collections.abc import Callable
from functools import partial

from bokeh.models import ColorPicker

from gdlab import store
from gdlab.messages import counted
from server.core.context import Context, View
from server.shell.stopping import Stop
from server.ui import card
from server.ui.choices import button

FEW = 7  # runs that have their chips at once


def build(context: Context) -> View:
    """A chip per run; its colour can be set, and with several runs it can be taken off the page.

    Of many runs the first `FEW` have theirs, with names alone; a button shows and hides the others.
    """
    root = card.row(context, classes=["gd-runbar"], name="runbar")
    few = FEW if len(context.selected) > FEW + 1 else len(context.selected)
    rest = len(context.selected) - few
    more = button(context, "", "runbar_more", "Show or hide the other runs", margin=0)
    chips: list[card.Row] = []
    updates: list[Callable[[], None]] = []

    def show(count: int) -> None:
        for i in range(len(chips), count):  # a chip costs models: made when it is first seen
            chip, update_chip = _chip(context, context.selected[i], i, short=rest > 0)
            chips.append(chip)
            updates.append(update_chip)
        more.label = f"and {rest} more" if count == few else f"the first {few} alone"
        root.children = [*chips[:count], *([more] if rest else [])]

    more.on_click(lambda: show(few if len(root.children) > few + 1 else few + rest))
    show(few)

    def update() -> None:
        for each in updates:
            each()

    return View(root, update)


def status(context: Context) -> tuple[str, bool]:
    """("live · iteration 400", True) for the page's runs: text, and whether any is running."""
    states, iterations = [], []
    for name in context.selected:
        state, count = _state(context, name)
        states.append(state)
        iterations.append(count)
    if not states:
        return "no run", False
    live = "running" in states
    if len(states) == 1:
        return f"{'live' if live else states[0]} · iteration {iterations[0]:,}", live
    if live:
        return f"{states.count('running')} of {len(states)} running", True
    return f"{counted(len(states), 'run')} · {' and '.join(sorted(set(states)))}", False


def _chip(context: Context, name: str, i: int, *, short: bool) -> tuple[card.Row, Callable[[], None]]:
    picker = ColorPicker(
        color=context.colour(name),
        name=f"runbar_colour_{i}",
        css_classes=["gd-swatch"],
        stylesheets=[context.sheet],
        html_attributes={"title": "Colour of this run"},
    )
    label = context.label(name)
    what = card.text(
        "" if label == name else label,
        "gd-label",
        name=f"runbar_label_{i}",
        stylesheets=[context.sheet],
        html_attributes={"title": label},
    )
    state = card.text("", "gd-caption", name=f"runbar_state_{i}")
    title = {"html_attributes": {"title": label}} if short else {}
    parts = [picker, card.text(name, "gd-run", name=f"runbar_name_{i}", **title)]
    stop = Stop(context, name, f"runbar_stop_{i}")
    parts += [stop.button] if short else [what, state, stop.button]
    if len(context.selected) > 1:
        remove = button(
            context, "×", f"runbar_remove_{i}", "Take this run off the page", partial(_remove, context, name),
            classes=["gd-quiet", "gd-remove"],
        )  # fmt: skip
        parts.append(remove)

    def update() -> None:
        state.text = " · ".join([_state(context, name)[0], *_unverified(context, name)])
        stop.update()

    def recolour(*_) -> None:
        picker.color = context.colour(name)

    def choose(attr, old, new) -> None:
        if new != context.colour(name):
            context.set_colour(name, new)

    update()
    picker.on_change("color", choose)
    context.on("theme", recolour)
    context.on("colour", recolour)
    return card.row(context, *parts, classes=["gd-chip", *(["gd-short"] if short else [])]), update


def _unverified(context: Context, name: str) -> list[str]:
    """What is said of a run that was recorded without checksums."""
    try:
        return [] if context.run(name).verified else ["not verified"]
    except (store.StoreError, OSError):
        return []


def _remove(context: Context, name: str) -> None:
    context.open_runs([run for run in context.selected if run != name], context.state.get("page"))


def _state(context: Context, name: str) -> tuple[str, int]:
    """State and number of iterations of a run; the error's words where it can no longer be read."""
    try:
        summary = context.run(name).summary()
    except (store.StoreError, OSError) as error:
        return str(error), 0
    return summary["state"], summary["iterations"]
