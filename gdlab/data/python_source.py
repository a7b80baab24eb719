"""Text that is on every machine: the source of Python's own standard library, character by character.

It differs from version to version of Python, which the digest of the text tells, as of other data. Its tests,
which are longer than the library itself, are left out, and so is what was installed beside it.
"""

import platform
import sysconfig
from pathlib import Path

import numpy as np

from gdlab.data.dataset import Dataset, whole_number
from gdlab.data.fingerprint import digest_of

LEFT_OUT = frozenset(("site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"))
# Of the tokens 0, 1, 2, ...; 0 stands for every other character.
CHARACTERS = "\ufffd\n\t" + "".join(map(chr, range(32, 127)))
MOST_BYTES = 1 << 20  # of a file; the library's longest has half of it


def python_source(*, context: int = 128, test_fraction: float = 0.05, folder: str | None = None) -> Dataset:
    """Pieces of the library's text; x uint8 [n, context], tokens of CHARACTERS, y the same one further.

    test_fraction  of the files, every so manieth, is kept for testing
    folder         whose files *.py are read; None: the standard library of the Python that runs
    Pieces lie side by side; what is left at the end is left out. Raises ValueError for a wrong number,
    FileNotFoundError where the folder holds no source.
    """
    whole_number("python_source: context", context, 1)
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"python_source: test_fraction = {test_fraction!r} is not allowed; it must be in (0, 1)"
        )
    place = Path(folder or sysconfig.get_path("stdlib"))
    contents = {str(path.relative_to(place)): path.read_bytes() for path in _files(place)}
    if len(contents) < 2:
        raise FileNotFoundError(f"python_source: {place} holds {len(contents)} files *.py; two are needed")
    every = round(1 / test_fraction)
    texts = {"train": [], "test": []}
    for number, (_, content) in enumerate(sorted(contents.items())):
        texts["test" if number % every == every - 1 else "train"].append(content)
    train, test = (_pieces(b"".join(texts[part]), context, part) for part in ("train", "test"))
    characters = train["x"].size + test["x"].size
    whose = "*.py" if folder else f"the standard library of Python {platform.python_version()}"
    note = f"{whose}: {characters / 1e6:.1f} million characters of {len(contents):,} files"
    return Dataset("python_source", train, test, (), source=digest_of(contents), notes=(note,))


def tokens_of(text: str) -> np.ndarray:
    """uint8 [len(text)]: the tokens of a text."""
    table = np.zeros(128, np.uint8)
    table[[ord(character) for character in CHARACTERS[1:]]] = np.arange(1, len(CHARACTERS))
    codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    return np.where(codes < 128, table[np.minimum(codes, 127)], 0).astype(np.uint8)


def text_of(tokens) -> str:
    """The text of tokens [n]."""
    return "".join(CHARACTERS[token] for token in np.asarray(tokens).tolist())


def _files(folder):
    """Regular files *.py below a folder, no links, none of LEFT_OUT."""
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else ():
        inside = path.relative_to(folder).parts
        regular = LEFT_OUT.isdisjoint(inside) and path.is_file() and not path.is_symlink()
        if regular and path.stat().st_size <= MOST_BYTES:
            yield path


def _pieces(content, context, part):
    tokens = tokens_of(content.decode("utf-8", "replace"))
    count = (len(tokens) - 1) // context
    if count < 1:
        raise ValueError(
            f"python_source: the {part} files have {len(tokens):,} characters, fewer than context + 1 = "
            f"{context + 1:,}"
        )
    x, y = (tokens[start : start + count * context].reshape(count, context) for start in (0, 1))
    return {"x": x, "y": y}
