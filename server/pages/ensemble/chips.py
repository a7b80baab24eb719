"""The selections as chips: colour, name, number of runs; one of them is the active one.

The last chip adds a selection. A chip's colour makes its selection the one that brushes and clicks change.
"""

from bokeh.models import TextInput

from gdlab.messages import counted
from server.pages.ensemble import selection
from server.ui import card
from server.ui.choices import button


class Chips:
    """root: a row. Follows "ensemble", "selection" and "theme"."""

    def __init__(self, shared):
        self.shared, self.context = shared, shared.context
        self._chips: list[_Chip] = []
        words = "Brushes and clicks then change the new one"
        self.add = button(self.context, "Add selection", "ensemble_add", words, self._add)
        self.clear = button(
            self.context, "Clear", "ensemble_clear", "Takes every selection away",
            lambda: shared.select(selection.Selections()),
        )  # fmt: skip
        self.hint = card.text("", "gd-caption", name="ensemble_selected")
        self.root = card.row(self.context, classes=["gd-runbar"], name="ensemble_selections")
        for event in ("ensemble", "selection", "theme"):
            self.context.on(event, self.update)

    def update(self) -> None:
        """The selections as they are."""
        shared, count = self.shared, len(self.shared.selections.choices)
        while len(self._chips) < count:
            self._chips.append(_Chip(shared, len(self._chips)))
        for chip in self._chips[:count]:
            chip.update()
        self.add.disabled = count >= selection.MOST
        self.clear.visible = count > 0
        some = int(shared.chosen.any(axis=0).sum()) if shared.chosen.size else 0
        self.hint.text = (
            f"{some:,} of {counted(shared.count, 'run')} selected." if count
            else "Nothing is selected: brush an axis, or click a line, a cell or a point."
        )  # fmt: skip
        wanted = [*(chip.root for chip in self._chips[:count]), self.add, self.clear, self.hint]
        if self.root.children != wanted:
            self.root.children = wanted

    def _add(self) -> None:
        old = self.shared.selections
        taken, names = {choice.hue for choice in old.choices}, {choice.name for choice in old.choices}
        hue = next(hue for hue in range(selection.MOST) if hue not in taken)
        number = next(n for n in range(1, 99) if f"Selection {n}" not in names)
        choices = (*old.choices, selection.Choice(f"Selection {number}", hue, {}))
        self.shared.select(old._replace(choices=choices, active=len(choices) - 1))


class _Chip:
    def __init__(self, shared, index: int):
        self.shared, self.index = shared, index
        sheet = [shared.context.sheet]
        self._quiet = False
        self.hue = button(
            shared.context, "", f"ensemble_hue_{index}", "Brushes and clicks change this selection",
            lambda: shared.select(shared.selections._replace(active=index)), classes=["gd-hue"],
        )  # fmt: skip
        self.title = TextInput(
            width=112, name=f"ensemble_name_{index}", css_classes=["gd-chip-name"], stylesheets=sheet,
            html_attributes={"title": "Name of the selection"},
        )  # fmt: skip
        self.title.on_change("value", lambda attr, old, new: self._rename(new))
        self.count = card.text("", "gd-caption", name=f"ensemble_count_{index}")
        remove = button(
            shared.context, "×", f"ensemble_remove_{index}", "Take the selection away", self._remove,
            classes=["gd-quiet", "gd-remove"],
        )  # fmt: skip
        self.root = card.row(shared.context, self.hue, self.title, self.count, remove, classes=["gd-chip"])

    def update(self) -> None:
        """Its selection as it is."""
        shared, index = self.shared, self.index
        choice, active = shared.selections.choices[index], shared.selections.active == index
        self._quiet = True
        self.title.value = choice.name
        self._quiet = False
        self.hue.styles = {"--hue": shared.hue(index)}
        self.root.css_classes = ["gd-chip", *(["gd-active"] if active else [])]
        # While other runs are on their way there is nothing to count.
        inside = int(shared.chosen[index].sum()) if index < len(shared.chosen) else 0
        limits = [_ends(axis, *ends) for axis, ends in choice.brushes.items()]
        self.count.text = f"{inside:,} run{'s' * (inside != 1)}"
        self.count.html_attributes = {"title": "; ".join(limits) or "Single runs"}

    def _rename(self, name: str) -> None:
        if self._quiet:
            return
        choices = list(self.shared.selections.choices)
        old = choices[self.index]
        choices[self.index] = old._replace(name=name.strip()[: selection.MOST_NAME] or old.name)
        self.shared.select(self.shared.selections._replace(choices=tuple(choices)))

    def _remove(self) -> None:
        old = self.shared.selections
        choices = tuple(choice for i, choice in enumerate(old.choices) if i != self.index)
        active = max(0, min(old.active - (self.index < old.active), len(choices) - 1))
        self.shared.select(old._replace(choices=choices, active=active))


def _ends(axis: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"{axis} {'≤' if low is None else '≥'} {high if low is None else low}"
    return f"{axis} in {low} … {high}"
