"""Runs that a Recorder wrote from a loop of its own: what can be shown of them, and what would be needed for
more.

Each page says what it needs. Where none of the selected runs has it, a card names what is missing and the
line in the loop that would hand it over, ready to be copied.
"""

from collections.abc import Sequence

from bokeh.models import Div

from gdlab.analysis import handed
from gdlab.store.effects import IMPORTED, is_of_recorder
from server.core.context import Context, View
from server.ui import card
from server.ui.copying import copier

# {need: (what is missing, the line that would hand it over)}
LINES = {
    "observed": (
        "The steps of the layers",
        "seen = gdlab.observe(params=params, updates=updates)  # in the step",
    ),
    "loss": ("The error function", "recorder = gdlab.Recorder(path, loss=loss)  # (params, batch) -> error"),
    "points": (
        "The parameters",
        "recorder.write(step, seen, params=params, batch=batch)  # after each step; copied when due",
    ),
    "predict": ("The answers", "recorder = gdlab.Recorder(path, predict=predict)  # (params, x) -> logits"),
    "activations": (
        "What the layers respond",
        "recorder = gdlab.Recorder(path, activations=gdlab.activations_of(model))",
    ),
    "examples": (
        "Examples",
        'recorder = gdlab.Recorder(path, examples={"train": {"x": x, "y": y}, "test": {"x": x, "y": y}})',
    ),
    "dumps": (
        "Dumps",
        "recorder = gdlab.Recorder(path, loss=loss, predict=predict, examples=examples, every=100)",
    ),
}
WORDS = "{needs}. {who} recorded from a loop of {its} own, which has not handed over what follows."
OF_IMPORTED = "{needs}. {who} imported: only numbers came. A gdlab.Recorder in the loop takes what follows."
NOTES = "Could not be carried: {notes}"


def alone(context: Context) -> bool:
    """Whether all selected runs are such."""
    return all(is_of_recorder(context.run(name).config) for name in context.selected)


def is_imported(run) -> bool:
    """Whether its numbers come from another tool's files: no loop could have handed over more."""
    return IMPORTED in run.identity


def missing(run, needs: Sequence[str]) -> list[str]:
    """Those of the needs, keys of LINES, that a recorded loop has not handed over."""
    there = handed.of(run)
    has = {
        "loss": "loss" in there.functions,
        "predict": "predict" in there.functions,
        "activations": "activations" in there.functions,
        "points": max(len(there.known), len(there.path)) > 1,
        "examples": there.labelled or (bool(there.parts) and "predict" not in needs),
        "dumps": there.dumps,
        "observed": "layer/update_norm" in run.arrays,
    }
    return [need for need in needs if not has[need]]


def able(context: Context, needs: Sequence[str]) -> list[str]:
    """The selected recorded loops that have handed over all of it."""
    runs = {name: context.run(name) for name in context.selected}
    return [name for name, run in runs.items() if is_of_recorder(run.config) and not missing(run, needs)]


def refusal(context: Context, title: str, words: str, needs: Sequence[str], *, name: str) -> View | None:
    """A card that says what is missing for a page, where all selected runs are recorded loops and none has
    all
    of it; else None. words: what the page shows, a sentence without its full stop."""
    if not alone(context) or able(context, needs):
        return None
    first = min((context.run(one) for one in context.selected), key=lambda run: len(missing(run, needs)))
    who, its = ("This run was", "its") if len(context.selected) == 1 else ("These runs were", "their")
    message = (OF_IMPORTED if is_imported(first) else WORDS).format(needs=words, who=who, its=its)
    notes = handed.of(first).notes
    if notes:
        message += "\n" + NOTES.format(notes="; ".join(notes)[:1000])
    rows = [_row(context, name, need) for need in missing(first, needs)]
    root = card.empty_card(context, title, message, name=name)
    root.children = [*root.children, *rows]
    return View(root, lambda: None)


def _row(context, name, need):
    """What is missing, and the line of code with a button that copies it."""
    what, line = LINES[need]
    code = Div(text=line, render_as_text=True, name=f"{name}_{need}", stylesheets=[context.sheet])
    code.css_classes = ["gd-code"]
    copy = copier(context, f"{name}_{need}_copy", "Copy the line", code)
    return card.row(context, card.text(f"{what}:", "gd-message"), code, copy, classes=["gd-options-row"])
