"""What a server is told when it starts, by `python -m server` or by `bokeh serve server --args`."""

import argparse
from pathlib import Path
from typing import NamedTuple, NoReturn

from gdlab.plan.sources import Places
from server.core.limits import MINUTES, Limits, default_memory

GIB = 2**30
MOST = 64  # processes of a kind


class Told(NamedTuple):
    """root: the folder of runs; data: folders that the data of runs may be read from; limits: of a job;
    workers: how many jobs run at once; config_dir: a folder of descriptions of one's own, "" for none;
    control: whether readers may ask trainings for something, such as to stop."""

    root: Path
    data: tuple[str, ...]
    limits: Limits
    workers: int = 1
    config_dir: str = ""
    control: bool = False

    @property
    def places(self) -> Places:
        """Where a run that is looked at may find its data and earlier runs."""
        return Places(self.data, (str(self.root.absolute()),))

    def arguments(self) -> list[str]:
        """The same as arguments of a command line."""
        memory, seconds = self.limits.memory, self.limits.seconds
        return [
            str(self.root),
            *(f"--data-dir={folder}" for folder in self.data),
            *([f"--memory={memory / GIB}"] if memory else []),
            *([f"--job-minutes={seconds / 60}"] if seconds else []),
            *([f"--workers={self.workers}"] if self.workers > 1 else []),
            *([f"--config-dir={self.config_dir}"] if self.config_dir else []),
            *(["--allow-control"] if self.control else []),
        ]


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of all ways to start the server."""
    parser.add_argument("runs", nargs="?", default="runs", help="the folder of runs (default: runs)")
    parser.add_argument(
        "--data-dir",
        action="append",
        default=[],
        metavar="FOLDER",
        help="a folder, or a zip, that the data of runs may be read from, whatever their configs say; "
        "besides it GDLAB_DATA and what was downloaded; may be repeated",
    )
    parser.add_argument(
        "--config-dir",
        default="",
        metavar="FOLDER",
        help="a folder of your own whose page/NAME.yaml add pages, and views to pages; code of your own that "
        "they name is allowed by GDLAB_TARGETS",
    )
    parser.add_argument(
        "--allow-control",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether readers may ask trainings that run to stop, or to be looked at closely; default: where "
        "nobody beyond this machine is let in",
    )
    _add_limits(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """Of what a page may ask of models."""
    parser.add_argument(
        "--memory",
        type=_positive,
        metavar="GIB",
        help="memory that one thing that a page asks for may use, on a CPU; default: three quarters of the "
        "machine's, divided by --workers",
    )
    parser.add_argument(
        "--job-minutes", type=_positive, default=MINUTES, help=f"time that it may take; default: {MINUTES:g}"
    )
    parser.add_argument(
        "--workers",
        type=count,
        default=1,
        metavar="N",
        help="how many things that pages ask of models are computed at once; default: 1",
    )


def told(options: argparse.Namespace) -> Told:
    """What the parsed options say."""
    data = tuple(str(Path(folder).absolute()) for folder in options.data_dir)
    memory = int(options.memory * GIB) if options.memory else default_memory()
    if memory and not options.memory:
        memory //= options.workers
    limits = Limits(memory, options.job_minutes * 60)
    config_dir = str(Path(options.config_dir).absolute()) if options.config_dir else ""
    return Told(Path(options.runs), data, limits, options.workers, config_dir, bool(options.allow_control))


def parse(arguments: list[str]) -> Told:
    """What the arguments of `bokeh serve server --args` say; raises ValueError for others."""
    parser = _Parser(prog="bokeh serve server --args", add_help=False)
    add_to(parser)
    return told(parser.parse_args(arguments))


def count(text: str) -> int:
    """A number of processes from the command line."""
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number between 1 and {MOST}")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} must be a number > 0")
    return number


class _Parser(argparse.ArgumentParser):
    """Ends no server: what cannot be parsed is an error of the page that is opened."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(
            f"{self.prog}: {message}; allowed: RUNS --data-dir FOLDER --memory GIB --job-minutes N "
            "--workers N --config-dir FOLDER --allow-control"
        )
