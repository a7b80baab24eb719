"""How a view of the ensemble stands on its page: built once the runs have been read, hidden without any."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from bokeh.models import ColumnDataSource, CustomJS, LayoutDOM

from server.core.context import Context, View
from server.pages.ensemble.shared import Shared, shared
from server.ui import card, sheets


class Panel(ABC):
    """A card of the page. Subclasses set `root` when they are made; `update` draws what is there now."""

    root: LayoutDOM

    def __init__(self, shared: Shared, name: str):
        self.shared, self.context, self.name = shared, shared.context, name
        self.ready = ColumnDataSource({"n": [0]}, name=f"{name}_ready")

    def source(self, part: str, *columns: str) -> ColumnDataSource:
        """An empty source of these columns, called NAME_PART."""
        return ColumnDataSource({column: [] for column in columns}, name=f"{self.name}_{part}")

    def _caption(self, words: str) -> None:
        card.retitle(self.root, caption=words)

    @abstractmethod
    def update(self) -> None:
        """Draws the ensemble as it is."""

    def listen(self, code: str, **args) -> CustomJS:
        """A script of the browser that knows `event`, `kit`, `my` and these models."""
        return script(self.shared, code, **args)

    def draws(self, expression: str, **args) -> None:
        """Has the browser draw at every `redraw` and change of the selection.

        expression: gives `paint(kit, scene)` (`static/ensemble.js`), of `my`, `kit` and these models.
        """
        code = f"my.view(kit, '{self.name}', {expression})"
        self.ready.js_on_change("data", self.listen(code, **args))

    def redraw(self) -> None:
        """What the browser's script draws from is complete."""
        self.ready.data = {"n": [self.ready.data["n"][0] + 1]}


def script(shared: Shared, code: str, **args) -> CustomJS:
    """As `Panel.listen`."""
    opening = "const event = cb_obj, kit = {hub, runs, axes}, my = gdlab.ensemble;\n"
    return CustomJS(args={**shared.kit, **args}, code=opening + code)


def view_of(make: Callable[[Shared], Panel]) -> Callable[..., View]:
    """The `build` of a panel; span: of the page's 12 columns; at_once: it is made before it is in sight."""

    def build(context: Context, *, span: int = 12, at_once: bool = False) -> View:
        return _view(context, make, span, at_once)

    return build


def _view(context: Context, make: Callable[[Shared], Panel], span: int, at_once: bool) -> View:
    """The View of a panel, which is made when there are runs for it."""
    ensemble = shared(context)
    root = card.box(context, classes=[f"gd-span-{span}", "gd-stretch"], visible=False)
    sheets.wear(sheets.sheet("ensemble"), root)
    built: list[Panel] = []

    def build() -> None:
        if built or ensemble.ensemble is None:
            return
        panel = make(ensemble)
        sheets.wear(sheets.sheet("curve", "network", "ensemble"), *_layouts(panel.root))
        panel.root.tags = [panel.ready]  # no glyph holds it, and it must be in the document
        built.append(panel)
        root.children = [panel.root]
        panel.root.on_change("visible", lambda attr, old, new: root.update(visible=new))
        panel.update()

    def draw() -> None:
        root.visible = ensemble.ensemble is not None
        if built and ensemble.ensemble is not None:
            built[0].update()
        elif at_once:
            build()
        elif not root.children:
            root.children = [card.loading_card(context, "")]
            root.tags = ["ensemble unseen"]  # the browser's script says when it is in sight

    def soon() -> None:
        # One card after the other, so that the first shows at once.
        context.mail.post(draw)

    root.on_change("tags", lambda attr, old, new: build() if new == ["ensemble seen"] else None)
    context.on("ensemble", soon)
    if ensemble.ensemble is not None:
        soon()
    return View(root, lambda: None)


def _layouts(root) -> list:
    """A layout and the layouts in it."""
    inner = [each for child in getattr(root, "children", []) for each in _layouts(child)]
    return [root, *inner] if hasattr(root, "children") and hasattr(root, "stylesheets") else inner
