"""Runs that a Recorder wrote from a loop of its own: what cannot be shown of them, and why."""

from gdlab.store.effects import is_of_recorder
from server.core.context import Context, View
from server.ui import card

WORDS = (
    "{needs}, and {who} recorded from a loop of {its} own: gdlab has neither the error function nor data.\n"
    "Of such runs it shows the errors, the step sizes and the layers that gdlab.observe or gdlab.watch saw."
)


def alone(context: Context) -> bool:
    """Whether all selected runs are such."""
    return all(is_of_recorder(context.run(name).config) for name in context.selected)


def refusal(context: Context, title: str, needs: str, *, name: str) -> View | None:
    """A card that says why a page has nothing to show, where all selected runs are such; else None.

    needs: what it is computed from, the beginning of a sentence.
    """
    if not alone(context):
        return None
    who, its = ("this run was", "its") if len(context.selected) == 1 else ("these runs were", "their")
    words = WORDS.format(needs=needs, who=who, its=its)
    return View(card.empty_card(context, title, words, name=name), lambda: None)
