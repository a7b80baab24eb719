"""A card: title, caption, controls, a menu to take the figure away, and the figure.

The menu's SVG and PNG are made in the reader's browser from what is on the screen; CSV holds the
rows of the Table that the view hands over. Text is data here, never HTML.
"""

import re
from collections.abc import Callable, Sequence

from bokeh.models import Button, Column, CustomJS, Div, Dropdown, LayoutDOM, Row, SVGIcon, Toggle

from gdlab.execution import difference
from gdlab.records import Table
from server.core.context import Context
from server.ui import csvtext, reading

SAVE_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" fill="none" '
    'stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
    '<path d="M12 4v11m-4-4 4 4 4-4M5 19h14"/></svg>'
)


def card(
    context: Context,
    title: str,
    caption: str,
    body: LayoutDOM,
    *,
    name: str,
    figures: Sequence[LayoutDOM] = (),
    csv: Callable[[], Table] | None = None,
    controls: Sequence[LayoutDOM] = (),
    span: int = 12,
    read: str | None = None,
) -> Column:
    """A card that spans `span` of the grid's 12 columns (all of them on a narrow page).

    name: unique on the page; the models are called NAME, NAME_title, NAME_caption, NAME_menu, and
    the files that are saved begin with it. figures: what SVG and PNG show, top to bottom; a layout
    stands for the figures that are visible in it at that time. csv: gives the Table behind the figure
    when it is asked for. controls: small widgets, at the title's right. read: the file of
    `server/reading/` that says how it is read, NAME unless it is given; without one there is no button.
    """
    if not 1 <= span <= 12:
        raise ValueError(f"card {name!r}: span={span} must lie between 1 and 12")
    words = box(
        context,
        text(title, "gd-title", name=f"{name}_title"),
        text(caption, "gd-caption", name=f"{name}_caption"),
        classes=["gd-words"],
    )
    explained = reading.of(read or name)
    explain = [_explain(context, name)] if explained else []
    tools = row(context, *controls, *explain, *_menu(context, name, figures, csv), classes=["gd-tools"])
    head = row(context, words, tools, classes=["gd-head"])
    root = box(context, head, body, classes=["gd-card", f"gd-span-{span}"], name=name)
    for button in explain:
        button.on_change("active", lambda attribute, old, new: _explained(context, root, read or name, new))
    return root


def retitle(root: Column, *, title: str | None = None, caption: str | None = None) -> None:
    """Changes the title or the caption of a card that `card` made."""
    # By its place: a search by name walks every model of the figure too.
    for part, words in zip(root.children[0].children[0].children, (title, caption), strict=True):
        if words is not None:
            part.text = words


def empty_card(context: Context, title: str, message: str, *, name: str = "empty", span: int = 12) -> Column:
    """Says that there is nothing to show, why, and what would change that; lines may be broken by \\n."""
    return _notice(context, title, message, name, span, "gd-empty")


def loading_card(context: Context, title: str, *, name: str = "loading", span: int = 12) -> Column:
    """Stands where a card is being prepared."""
    return _notice(context, title, "", name, span, "gd-loading")


def error_card(context: Context, title: str, message: str, *, name: str = "error", span: int = 12) -> Column:
    """Says what went wrong in the words of the error; everything else goes on working."""
    return _notice(context, title, message, name, span, "gd-error")


class Progress:
    """A line of text, a bar and a button "Cancel" for work that takes long; hidden while idle.

    root: to be placed in a card. show(fraction in [0, 1], text); done(); failed(message).
    """

    def __init__(self, context: Context, on_cancel: Callable[[], None], *, name: str = "progress"):
        self._words = text("", "gd-progress-text", name=f"{name}_text")
        self._cancel = Button(
            label="Cancel", css_classes=["gd-quiet"], stylesheets=[context.sheet],
            html_attributes={"title": "What was computed so far may stay"},
        )  # fmt: skip
        self._cancel.on_click(on_cancel)
        self.root = row(context, self._words, self._cancel, classes=["gd-progress"], name=name, visible=False)

    def show(self, fraction: float, words: str) -> None:
        """Shows the bar: what is done, and how far it is in [0, 1]."""
        self._words.text = f"{words} {100 * fraction:.0f} %"
        self._words.styles = {"background-size": f"{100 * fraction:.1f}% 2px"}
        self._cancel.visible = self.root.visible = True

    def done(self, table: Table | None = None) -> None:
        """Takes the bar off the card; where a replay differs, or others computed it, that stands there."""
        remark = difference.remarks(table.attrs) if table is not None else ""
        if remark:
            self.failed(remark)
        else:
            self.root.visible = False

    def failed(self, message: str) -> None:
        """Leaves the reason where the bar was."""
        self._words.text = message
        self._words.styles = {"background-size": "0 2px"}
        self._cancel.visible, self.root.visible = False, True


def grid(context: Context, *cards: LayoutDOM, name: str | None = None) -> Column:
    """Cards on the page's 12 columns; may be hidden by `visible` as any layout."""
    inner = box(context, *cards, classes=["gd-grid"])  # its own display would win over a hidden one
    return box(context, inner, classes=["gd-holder"], name=name)


def box(context: Context, *children: LayoutDOM, classes: Sequence[str], **properties) -> Column:
    """A column that the page's stylesheet knows by its classes."""
    return Column(
        *children,
        css_classes=list(classes),
        stylesheets=[context.sheet],
        sizing_mode="stretch_width",
        **properties,
    )


def row(context: Context, *children: LayoutDOM, classes: Sequence[str], **properties) -> Row:
    """A row that the page's stylesheet knows by its classes."""
    return Row(*children, css_classes=list(classes), stylesheets=[context.sheet], **properties)


def text(words: str, style: str, *, name: str | None = None, **properties) -> Div:
    """Words from anywhere, shown as they are and never read as HTML."""
    return Div(text=words, render_as_text=True, css_classes=[style], name=name, **properties)


def _explain(context: Context, name: str) -> Toggle:
    """The button that opens how a card is read."""
    return Toggle(
        label="?", name=f"{name}_explain", css_classes=["gd-quiet", "gd-explain"],
        stylesheets=[context.sheet],
        html_attributes={"title": "How to read this", "aria-label": "How to read this"},
    )  # fmt: skip


def _explained(context: Context, root: Column, read: str, wanted: bool) -> None:
    """Puts the words under the head of a card, or takes them away; they are made when they are asked for."""
    head, *rest = (part for part in root.children if "gd-reading" not in part.css_classes)
    found = reading.of(read) if wanted else None
    parts = []
    for label, words in found[1].items() if found else ():
        lines = (text(label, "gd-reading-label"), text(words, "gd-reading-words"))
        parts.append(row(context, *lines, classes=["gd-reading-row"]))
    shown = [box(context, *parts, classes=["gd-reading"], name=f"{root.name}_reading")] if parts else []
    root.children = [head, *shown, *rest]


def _notice(context: Context, title: str, message: str, name: str, span: int, style: str) -> Column:
    parts = [text(title, "gd-title", name=f"{name}_title")] if title else []
    parts.append(text(message, "gd-message", name=f"{name}_message"))
    return box(context, *parts, classes=["gd-card", f"gd-span-{span}", style], name=name)


def _menu(context: Context, name: str, figures: Sequence[LayoutDOM], csv) -> list[Dropdown]:
    entries = [("SVG", "svg"), ("PNG", "png")] if figures else []
    entries += [("CSV", "csv")] if csv else []
    if not entries:
        return []
    menu = Dropdown(
        label="",
        icon=SVGIcon(svg=SAVE_ICON, size="16px"),
        menu=entries,
        name=f"{name}_menu",
        css_classes=["gd-menu", f"gd-menu-{name}"],
        stylesheets=[context.sheet],
        html_attributes={"title": "Save as " + ", ".join(label for label, _ in entries)},
    )
    file = _file_name(context.selected, name)
    picture = CustomJS(
        args={"figures": list(figures), "file": file}, code="gdlab.save(figures, cb_obj.item, file)"
    )
    menu.js_on_event("menu_item_click", picture)
    if csv:

        def save(event) -> None:
            if event.item == "csv":
                context.download(f"{file}.csv", csvtext.dumps(csv()))

        menu.on_event("menu_item_click", save)
    return [menu]


def _file_name(selected: Sequence[str], name: str) -> str:
    """A name for saved files that every file system takes: runs and card, 80 characters at most."""
    words = "_".join([*selected[:3], name])
    return re.sub(r"[^A-Za-z0-9.=+-]+", "_", words).strip("._")[-80:]
