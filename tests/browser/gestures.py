"""What a reader does with a plot, at true positions on the screen, and how to wait for what follows.

The effects of one action arrive as several messages: whatever follows an action is waited for, and
"nothing has changed" is asserted only after a sign that the action has been carried out.
"""

import re
import time
from collections.abc import Callable

from playwright.sync_api import TimeoutError as Late

TIMEOUT = 180_000  # ms; the first answer of the worker needs its imports and a compilation
MODEL = "Bokeh.documents[0].get_model_by_name"
PLOTS = "model('details_stack').children.filter((child) => child.visible).length"
SAME = "JSON.stringify(value()) === JSON.stringify(expected)"


def wait(page, condition: str) -> None:
    """Waits until a JavaScript condition holds; `model(name)` and `data(name)` are short for models."""
    becomes(page, f"Boolean({condition})", True)


def becomes(page, expression: str, expected) -> None:
    """Waits until a JavaScript expression has this value; what cannot be evaluated yet has none."""
    body = f"{{try {{ return {_expand(expression)} }} catch (error) {{ return String(error) }}}}"
    try:
        page.wait_for_function(
            f"(expected) => {{ const value = () => {body}; return {SAME} }}", arg=expected, timeout=TIMEOUT
        )
    except Late:
        found = page.evaluate(f"() => {body}")
        raise AssertionError(
            f"after {TIMEOUT / 1000:g} s {expression} is {found!r}, not {expected!r}"
        ) from None


def says(page, name: str, words: str) -> None:
    """Waits until the text of a model holds these words."""
    try:
        condition = f"(words) => {MODEL}('{name}')?.text.includes(words)"
        page.wait_for_function(condition, arg=words, timeout=TIMEOUT)
    except Late:
        found = page.evaluate(f"{MODEL}('{name}')?.text ?? null")
        raise AssertionError(f"{name} says {found!r}, not {words!r}") from None


def eventually(page) -> Callable[[Callable], None]:
    """@eventually(page) repeats a function's assertions, frame by frame, until they hold together."""

    def repeat(check: Callable[[], None]) -> None:
        end = time.monotonic() + TIMEOUT / 1000
        while True:
            try:
                return check()
            except AssertionError:
                if time.monotonic() > end:
                    raise
            page.evaluate("() => new Promise(requestAnimationFrame)")

    return repeat


def address(page, /, **expected: str | None) -> None:
    """Waits until the page's address holds these values; None: not the key."""
    for key, wanted in expected.items():
        becomes(page, f"new URLSearchParams(location.search).get('{key}')", wanted)


def value(page, expression: str):
    """The value of a JavaScript expression, with the same short forms."""
    return page.evaluate(_expand(expression))


def column(page, source: str, name: str) -> list:
    """A column of a ColumnDataSource as a list; nested arrays as lists of lists."""
    return page.evaluate(
        f"""() => {{
          const plain = (a) => a != null && typeof a === "object" ? Array.from(a, plain) : a
          const column = {MODEL}('{source}')?.data
          const values = column instanceof Map ? column.get('{name}') : column?.['{name}']
          return plain(values ?? [])
        }}"""
    )


def position(page, figure: str, x: float, y: float) -> tuple[float, float]:
    """Where the data point (x, y) of a figure lies on the screen, once the figure keeps its place."""
    still(page, figure)
    return tuple(
        page.evaluate(
            f"""([x, y]) => {{
              const view = Bokeh.index.find_one({MODEL}('{figure}'))
              const box = view.canvas_view.el.getBoundingClientRect()
              return [box.left + view.frame.x_scale.compute(x), box.top + view.frame.y_scale.compute(y)]
            }}""",
            [x, y],
        )
    )


def in_sight(page, figure: str) -> None:
    """Scrolls until a figure stands in the middle of the screen."""
    view = f"Bokeh.index.find_one({MODEL}('{figure}'))"
    page.evaluate(f"{view}.el.scrollIntoView({{block: 'center', behavior: 'instant'}})")


def middle(page, figure: str, share: float = 0.5) -> tuple[float, float]:
    """A point of a figure's frame, `share` of its width from the left, once it keeps its place."""
    still(page, figure)
    return tuple(
        page.evaluate(
            f"""(share) => {{
              const view = Bokeh.index.find_one({MODEL}('{figure}'))
              const box = view.canvas_view.el.getBoundingClientRect(), frame = view.frame.bbox
              return [box.left + frame.left + share * frame.width, box.top + frame.top + frame.height / 2]
            }}""",
            share,
        )
    )


def drawn(page, *names: str) -> None:
    """Waits until figures of these names are on the screen."""
    page.wait_for_function("window.Bokeh?.documents.length > 0")
    for name in names:
        wait(page, f"model('{name}') != null && Bokeh.index.find_one(model('{name}')) != null")
    wait(page, "Bokeh.documents[0].is_idle")


def still(page, figure: str) -> None:
    """Waits until a figure keeps its place and its limits over several frames: cards above it may still
    be growing, a range may still be on its way."""
    page.wait_for_function(
        f"""() => {{
          const view = Bokeh.index.find_one({MODEL}('{figure}'))
          const box = view?.el.getBoundingClientRect(), width = view?.frame?.bbox.width
          if (!(box?.width > 0 && width > 0)) return false
          const ranges = [view.model.x_range, view.model.y_range].map(({{start, end}}) => [start, end])
          const now = ['{figure}', box.left, box.top, box.width, box.height, width, ranges].join()
          const frames = window.gdStill?.now === now ? window.gdStill.frames + 1 : 0
          window.gdStill = {{now, frames}}
          return frames > 12
        }}""",
        timeout=TIMEOUT,
    )


def x_range(page, name: str = "curve_x") -> tuple[float, float]:
    return tuple(value(page, f"[model('{name}').start, model('{name}').end]"))


def _expand(text: str) -> str:
    text = re.sub(r"\bmodel\(", f"{MODEL}(", text)
    return re.sub(r"\bdata\('([^']+)', '([^']+)'\)", _column, text)


def _column(match) -> str:
    source = f"{MODEL}('{match[1]}')"
    return f"({source}?.get_column('{match[2]}') ?? [])"
