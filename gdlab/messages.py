"""What a person is told when something is wrong: one line, whole where it matters, and never a flood.

An error of gdlab's own is its message. Any other is named with its kind and the line of code that raised it,
which for a problem of one's own is a line of one's own.
"""

import difflib
import re
import traceback
from collections.abc import Iterable
from pathlib import Path

MOST_LINE, MOST_LINES = 2000, 60
_HEAD, _TAIL = 300, 200
_PACKAGE = Path(__file__).resolve().parent
_STANDARD = Path(traceback.__file__).parent
# Options are given as YAML, whose words these values have there.
_WORDS = {"None": "null", "True": "true", "False": "false"}
_VALUE = re.compile(r"(?<==)(?:None|True|False)\b")
# What brings a module that the core does without; tests/test_packaging.py holds it against pyproject.toml.
EXTRAS = {
    "record": ("flax", "hydra", "omegaconf", "orbax", "PIL", "pooch", "rich", "scipy"),
    "app": ("bokeh", "colorcet", "contourpy", "re2", "sklearn", "tornado"),
    "import": ("pyarrow",),
    "export": ("playwright",),
}
_INSTALLED = ("site-packages", "dist-packages", "<frozen", "<string>", "<__array_function__")


def closest(name: object, valid: Iterable[object], cutoff: float = 0.5) -> str | None:
    """The valid name that is most like `name`, of which 200 characters are looked at; None where none is."""
    found = difflib.get_close_matches(str(name)[:200], [str(one) for one in valid], n=1, cutoff=cutoff)
    return found[0] if found else None


def readable(text: object) -> str:
    """`text` with control characters spelled out, long lines without their middle, and not too many lines."""
    lines = str(text).splitlines() or [""]
    if len(lines) > MOST_LINES:
        left = len(lines) - MOST_LINES + 1
        lines = [*lines[: MOST_LINES - 1], f"... and {left:,} more lines"]
    return "\n".join(_shortened(_spelled(line)) for line in lines)


def one_line(text: object) -> str:
    """`readable`, its lines joined."""
    return " ".join(readable(" ".join(str(text).split())).splitlines())


def described(error: BaseException, expected: tuple = ()) -> str:
    """What an error says to who caused it.

    expected: kinds of errors whose own words say all; so do those of a ValueError that gdlab itself raised.
    """
    if lacking := missing(error):
        return lacking
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return one_line(f"{place}{error.strerror}")
    own = isinstance(error, expected) or (isinstance(error, ValueError) and _raised_by_gdlab(error))
    if own and str(error):
        return readable(_VALUE.sub(lambda found: _WORDS[found[0]], str(error)))
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return one_line(
            f"out of memory: {error}; a smaller model, fewer examples or smaller mini-batches take less"
        )
    said = one_line(str(error).partition("\n\n")[0])
    return f"{type(error).__name__}: {said} ({raised_at(error)})"


def missing(error: BaseException) -> str | None:
    """What to install where an error says that a part of gdlab's is not installed; None for other errors."""
    if not isinstance(error, ModuleNotFoundError):
        return None
    name = str(error.name).partition(".")[0]
    for extra, modules in EXTRAS.items():
        if name in modules:
            what = f"{name} is not installed" if str(error).startswith("No module named") else str(error)
            return f"{what}: pip install 'gdlab[{extra}]'"
    return None


def raised_at(error: BaseException) -> str:
    """Where an error was raised: the innermost line of one's own code, else of gdlab's, else of any."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not _is_installed(f.filename) and not _is_gdlab(f.filename)]
    ours = [f for f in frames if _is_gdlab(f.filename)]
    chosen = (own or ours or frames)[-1:]
    return "".join(f"{_short(f.filename)}, line {f.lineno}, in {f.name}" for f in chosen) or "place unknown"


def _raised_by_gdlab(error):
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _is_gdlab(frames[-1].filename)


def _is_gdlab(file):
    return Path(file).is_relative_to(_PACKAGE)


def _is_installed(file):
    return any(part in file for part in _INSTALLED) or Path(file).is_relative_to(_STANDARD)


def _short(file):
    path = Path(file)
    return path.relative_to(_PACKAGE.parent).as_posix() if _is_gdlab(file) else path.name


def _spelled(line):
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line)


def _shortened(line):
    if len(line) <= MOST_LINE:
        return line
    return f"{line[:_HEAD]} ... ({len(line):,} characters) ... {line[-_TAIL:]}"


def percent(share: float, digits: int = 0) -> str:
    """A share in per cent: 0.684 is "68 %"."""
    return f"{100 * share:.{digits}f} %"


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 run", "0 runs", "1,234 mini-batches" (many: where it is not one + "s")."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
