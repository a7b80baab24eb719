"""What a reader does with a plot, at true positions on the screen, and how to wait for what follows."""

import re

TIMEOUT = 60_000  # ms; the first answer of the worker needs its imports and a compilation
MODEL = "Bokeh.documents[0].get_model_by_name"


def wait(page, condition: str, argument=None) -> None:
    """Waits until a JavaScript condition holds; `model(name)` and `data(name)` are short for models."""
    page.wait_for_function(_expand(condition), arg=argument, timeout=TIMEOUT)


def value(page, expression: str):
    """The value of a JavaScript expression, with the same short forms."""
    return page.evaluate(_expand(expression))


def column(page, source: str, name: str) -> list:
    """A column of a ColumnDataSource as a list; nested arrays as lists of lists."""
    return page.evaluate(
        f"""() => {{
          const plain = (a) => a != null && typeof a === "object" ? Array.from(a, plain) : a
          const column = {MODEL}('{source}').data
          const values = column instanceof Map ? column.get('{name}') : column['{name}']
          return plain(values)
        }}"""
    )


def position(page, figure: str, x: float, y: float) -> tuple[float, float]:
    """Where the data point (x, y) of a figure lies on the screen."""
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


def middle(page, figure: str, share: float = 0.5) -> tuple[float, float]:
    """A point of a figure's frame, `share` of its width from the left."""
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
    """Waits until a figure keeps its place over several frames: cards above it may still be growing."""
    page.wait_for_function(
        f"""() => {{
          const box = Bokeh.index.find_one({MODEL}('{figure}')).el.getBoundingClientRect()
          const now = [box.left, box.top, box.width, box.height].join()
          const seen = window.gdStill?.now === now ? window.gdStill.frames : 0
          window.gdStill = {{now, frames: seen + 1}}
          return seen > 12
        }}"""
    )


def x_range(page, name: str = "curve_x") -> tuple[float, float]:
    return tuple(value(page, f"[model('{name}').start, model('{name}').end]"))


def _expand(text: str) -> str:
    text = re.sub(r"\bmodel\(", f"{MODEL}(", text)
    return re.sub(r"\bdata\('([^']+)', '([^']+)'\)", _column, text)


def _column(match) -> str:
    source = f"{MODEL}('{match[1]}')"
    return f"({source}?.get_column('{match[2]}') ?? [])"
