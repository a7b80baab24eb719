"""What a reader sees on a page: tick labels, cells and texts, read from what the browser has drawn."""

from pathlib import Path

LOOK = (Path(__file__).parent / "sight.js").read_text(encoding="utf-8")


def see(page, what: str):
    """What `window.gdSight.WHAT()` of sight.js finds: "axes", "bars", "cells", "texts", ..."""
    with_eyes(page)
    return page.evaluate(f"() => window.gdSight.{what}()")


def with_eyes(page) -> None:
    """Gives the page `window.gdSight`, once."""
    if not page.evaluate("window.gdSight != null"):
        page.evaluate(f"() => {{ {LOOK} }}")


def old_cells(page) -> list[dict]:
    """Cells of tables on the screen that do not show what their source holds."""
    return [cell for cell in see(page, "cells") if cell["shown"] != cell["wanted"]]


def without_numbers(page) -> list[dict]:
    """Axes and colour bars on the screen that have no label, though they are meant to."""
    found = [axis for axis in see(page, "axes") if not axis["none"]] + see(page, "bars")
    return [axis for axis in found if not any(label.strip() for label in axis["labels"])]
