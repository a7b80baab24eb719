"""A few of many at once: which they are, and the buttons that turn to the others."""

from functools import partial

from server.ui.choices import Choice, button

MOST = 10_000


def page_choice(context, key: str) -> Choice:
    """The number of the page, from 0, as the address has it; several pagers may share it."""
    return Choice(context, key, 0, (0, MOST))


class Pager:
    """buttons: "‹" and "›", called NAME_before and NAME_after, there where more than `size` are.

    page: which one is shown; what: is paged through, in the plural.
    """

    def __init__(self, context, page: Choice, size: int, *, name: str, what: str):
        self.page, self.size, self._count = page, size, 0
        self.buttons = [
            button(context, label, f"{name}_{side}", f"Other {what}", partial(self._turn, by))
            for label, side, by in (("‹", "before", -1), ("›", "after", 1))
        ]

    @property
    def first(self) -> int:
        """Position of the first that is shown."""
        return self.size * min(self.page.value, max(self._count - 1, 0) // self.size)

    def part(self, items: list) -> list:
        """Those of all items that are shown; they are so many now."""
        self._count = len(items)
        for each in self.buttons:
            each.visible = len(items) > self.size
        return items[self.first : self.first + self.size]

    def _turn(self, by: int) -> None:
        wanted = self.first // self.size + by
        if 0 <= wanted * self.size < self._count:
            self.page.set(wanted)
