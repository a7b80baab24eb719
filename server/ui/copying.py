"""Text that a reader may take along, by a button beside it."""

from bokeh.models import Button, CustomJS, Model

from server.core.context import Context
from server.ui.choices import button

_COPY = """
const text = words.text
const fallback = () => {
  const area = document.createElement("textarea")
  area.value = text; document.body.append(area); area.select(); document.execCommand("copy"); area.remove()
}
if (navigator.clipboard) navigator.clipboard.writeText(text).catch(fallback); else fallback()
"""


def copier(context: Context, name: str, help: str, words: Model) -> Button:
    """A button that copies the `text` of a model as it stands then."""
    made = button(context, "Copy", name, help)
    made.js_on_event("button_click", CustomJS(args={"words": words}, code=_COPY))
    return made
