"""How a card is read: what is drawn, the legend, whence it comes, what to look for.

The words are those of the documentation, one file of `server/reading/` a card.
"""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "reading"
PARTS = ("Drawn", "Legend", "From", "Look for")


@cache
def of(name: str) -> tuple[str, dict[str, str]] | None:
    """(title, {part: words}) of the card `name`, the parts being those of PARTS; None where there are none.

    Raises ValueError where a file has other parts.
    """
    path = FOLDER / f"{name}.md"
    if not path.is_file():
        return None
    heading, *paragraphs = path.read_text(encoding="utf-8").strip().split("\n\n")
    parts = dict(paragraph.removeprefix("**").split(".** ", 1) for paragraph in paragraphs)
    if not heading.startswith("# ") or tuple(parts) != PARTS:
        raise ValueError(f"{path.name}: a title and the parts {', '.join(PARTS)} are wanted, in this order")
    return heading.removeprefix("# "), parts
