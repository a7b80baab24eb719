"""Published data files: where they lie, how they are fetched, and that they are what was published."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_downloads = ContextVar("downloads", default=True)


class DataFileError(ValueError):
    """A data file that is there but is not what it should be."""


def data_folder(data_dir: str | os.PathLike | None) -> Path | None:
    """`data_dir`, else the folder that the environment variable GDLAB_DATA names, else None."""
    chosen = data_dir or os.environ.get("GDLAB_DATA")
    return None if chosen is None else Path(chosen)


def cache_folder(name: str) -> Path:
    """The folder `name` in gdlab's part of the user's cache."""
    import pooch

    return pooch.os_cache("gdlab") / name


def find(dataset: str, candidates: Sequence[str], folder: Path) -> Path:
    """The first of `candidates` that lies in `folder`, or in the folder named like the dataset in it.

    Raises FileNotFoundError: says what was looked for, where, and what to do.
    """
    places = (folder, folder / dataset)
    for place in places:
        for candidate in candidates:
            if (place / candidate).exists():
                return place / candidate
    raise FileNotFoundError(
        f"{dataset}: no {' or '.join(candidates)} in {places[0]} or {places[1]}; set data_dir to the folder "
        "that holds the published files, or to null to download them"
    )


@contextmanager
def without_downloads() -> Iterator[None]:
    """Within it `download` gives what the cache has, and nothing else."""
    token = _downloads.set(False)
    try:
        yield
    finally:
        _downloads.reset(token)


def download(dataset: str, file: str, urls: Sequence[str], md5: str) -> Path:
    """`file` from the first of `urls` that gives it, kept in the user's cache; its MD5 is checked.

    Raises FileNotFoundError: says what each address answered, and what to do without a network.
    """
    import pooch

    folder, failures = cache_folder(dataset), []
    if not _downloads.get():
        return _cached(dataset, folder / file, md5)
    for url in urls:
        try:
            return Path(pooch.retrieve(url, f"md5:{md5}", fname=file, path=folder))
        except (OSError, ValueError) as error:
            failures.append(f"{url} ({type(error).__name__}: {error})")
    raise FileNotFoundError(
        f"{dataset}: {file} is not in the cache {folder} and could not be downloaded: {'; '.join(failures)}. "
        "Without a network, put the published files into a folder and set data_dir to it"
    )


def _cached(dataset, path, md5):
    if not path.is_file():
        raise FileNotFoundError(f"{dataset}: {path} is not there, and looking at a run downloads nothing")
    prove(path, path.read_bytes(), md5)
    return path


def prove(path, content: bytes, expected: str | None) -> None:
    """Check the MD5 (32 digits) or SHA-256 (64 digits) of `content`; None accepts any.

    Raises DataFileError: names file, found and expected.
    """
    if expected is None:
        return
    method = "md5" if len(expected) == 32 else "sha256"
    found = hashlib.new(method, content, usedforsecurity=False).hexdigest()
    if found != expected:
        name = {"md5": "MD5", "sha256": "SHA-256"}[method]
        raise DataFileError(
            f"{path} has the wrong content: its {name} is {found}, expected {expected}; get it again"
        )
