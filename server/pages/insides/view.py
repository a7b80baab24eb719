"""What a network looks like inside at any iteration: filters, feature maps, saliency, activations, answers.

One run at a time; the arrow keys move the iteration. Kuchta 2023, chapter 4.
"""

from bokeh.models import Column

from gdlab.records import Table
from server.core.context import Context, View
from server.pages.insides.choice import PARTS, InsidesChoice
from server.pages.insides.histograms import Histograms
from server.pages.insides.maps import FeatureMaps
from server.pages.insides.matrix import Matrix
from server.pages.insides.picture import Picture
from server.pages.insides.weights import Filters
from server.ui import card, recorded, sheets
from server.ui.query import NOTHING

NONE = (
    "This page shows filters, feature maps, activations and a confusion matrix, and {} has no network.\n"
    "A run of a classifier does, such as: python -m gdlab experiment=digits_cg"
)


def build(context: Context) -> View:
    """The cards of the (first) selected run that has a network."""
    names = [name for name in context.selected if context.run(name).config.get("model")]
    needs = "This page shows filters, feature maps, activations and answers of a network"
    none = recorded.refusal(context, "No network", needs, name="insides_none")
    if none is not None:
        return none
    if not names:
        who = "this run" if len(context.selected) == 1 else "none of these runs"
        words = NONE.format(who).replace("none of these runs has no", "none of these runs has a")
        return View(card.empty_card(context, "No network", words, name="insides_none"), lambda: None)
    return _Insides(context, names).view


class _Insides:
    def __init__(self, context: Context, names: list[str]):
        self.context = context
        sheet = sheets.sheet("curve", "network")
        self.choice = InsidesChoice(context, names, self.ask)
        self.picture = Picture(context, self.choice, self._pictured, self._unpictured, sheet)
        self.matrix = Matrix(context, self.picture.know, sheet)
        self.filters = Filters(context, sheet)
        self.maps = FeatureMaps(context, sheet)
        self.histograms = Histograms(context, sheet)
        sheets.wear(sheet, self.choice.panel)
        self.head: Column = card.card(context, "Inside the network", "", self.choice.panel, name="insides")
        cards = (self.head, self.picture, self.matrix, self.filters, self.maps, self.histograms)
        roots = [getattr(one, "root", one) for one in cards]
        self.view = View(card.box(context, *roots, classes=["gd-grid", "gd-span-12"]), self.update)
        context.on("show", self._shown)
        self.ask()

    def update(self) -> None:
        """The controls follow a growing run, and so do the cards while they show its end."""
        self.choice.grown()
        if self.context.iteration is None and self.choice.run.state == "running":
            self._say()  # a growing run is asked again when it ends, or when the reader moves
        else:
            self.ask()

    def ask(self) -> None:
        """Every card at the chosen iteration; the worker takes the newest question first."""
        run, k, part = self.choice.run, self.choice.iteration, self.choice.part
        self._say()
        self.filters.ask(run, k)
        self.histograms.ask(run, k, part)
        self.matrix.ask(run, k, part)
        self.picture.ask()

    def _shown(self) -> None:
        """The page comes to the front again: another one may have chosen another iteration."""
        self.choice.grown()
        self.ask()

    def _say(self) -> None:
        k, last = self.choice.iteration, self.choice.last
        where = "the start" if k == 0 else "the end" if k == last else f"of {last:,}"
        card.retitle(
            self.head,
            title=f"Inside {self.choice.run_name}"
            if len(self.context.selected) > 1
            else "Inside the network",
            caption=f"Iteration {k:,}, {where}; answers and activations on the {PARTS[self.choice.part]}.",
        )

    def _pictured(self, table: Table) -> None:
        self.filters.set_image(table.columns["image"].shape)
        self.maps.show(table)

    def _unpictured(self, words: str) -> None:
        none = "There is nothing to show: feature maps are of an image that the network classifies."
        self.maps.fail(none if words == NOTHING else words)
