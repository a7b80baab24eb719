"""Published data files: where they lie, how they are fetched, and that they are what was published."""

import hashlib
import os
import stat
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


def find(dataset: str, candidates: Sequence[str], folder: Path, *, folders: Sequence[str] = ()) -> Path:
    """The first of `candidates` that lies in `folder`, or in the folder named like the dataset in it.

    candidates: names of files; a folder of such a name may hold the file of that name, as some archives
    unpack; folders: names of folders, of which one is taken before any file.

    Raises FileNotFoundError: says what was looked for, where, and what to do.
    """
    places = (folder, folder / dataset)
    for place in places:
        for name in folders:
            if (place / name).is_dir():
                return place / name
        for name in candidates:
            for path in (place / name, place / name / name):
                if path.is_file():
                    return path
    wrong = [str(place / name) for place in places for name in candidates if (place / name).exists()]
    more = f"; {', '.join(wrong)} is no file" if wrong else ""
    looked = " or ".join((*folders, *candidates))
    if not folder.is_dir():
        more += f"; {folder} is {'a file' if folder.exists() else 'not there'}"
    raise FileNotFoundError(
        f"{dataset}: no {looked} in {places[0]} or {places[1]}{more}; set data_dir to the folder "
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


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most so many; no link is followed, no pipe or device opened.

    Raises OSError: says why not.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        if status.st_size > most:
            raise OSError(f"it has {status.st_size:,} bytes, and {most:,} are allowed")
        return file.read(most)


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
