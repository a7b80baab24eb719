"""A page that cannot show all chosen runs says which ones it leaves out, and where they are shown."""

from bokeh.models import Column

from gdlab.messages import counted
from server.core.context import Context
from server.ui import card

NAMED = 6


def notice(context: Context, shown: int, where: str, *, name: str) -> list[Column]:
    """[a card that names the chosen runs after the first `shown`], [] where there are none.

    where: a sentence that says where they can be looked at.
    """
    left = context.selected[shown:]
    if not left:
        return []
    names = ", ".join(left[:NAMED]) + (
        f" and {counted(len(left) - NAMED, 'other')}" if len(left) > NAMED else ""
    )
    first = "the first of the chosen runs" if shown == 1 else f"the first {shown} of the chosen runs"
    title = f"{counted(len(left), 'run')} {'is' if len(left) == 1 else 'are'} not shown here"
    return [card.empty_card(context, title, f"This page shows {first}, not {names}.\n{where}", name=name)]
