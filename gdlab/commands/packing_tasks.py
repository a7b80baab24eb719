"""A run folder as one file: `task=pack run=RUN output=FILE.zip`, `task=unpack from=FILE.zip into=FOLDER`."""

import sys
from pathlib import Path

from gdlab.execution.progress import Progress
from gdlab.plan.builder import ConfigError
from gdlab.store import packing

_PACK, _UNPACK = "task=pack run=runs/NAME output=NAME.zip", "task=unpack from=NAME.zip into=runs/NAME"


def pack_task(config: dict, *, progress: bool = True) -> Path:
    """Pack the run of a config's `run` into its `output`, by default NAME.zip here; the file.

    Raises ConfigError: nothing is named, or wrongly; and what `gdlab.store.packing.pack` raises.
    """
    if not config.get("run"):
        raise ConfigError(f"task=pack needs the folder of a run: {_PACK}")
    folder = Path(config["run"])
    file = Path(config.get("output") or f"{folder.resolve().name}.zip")
    if file.suffix != ".zip":
        raise ConfigError(f"output={file}: a name that ends in .zip is expected: {_PACK}")
    with Progress(folder.name, 100, unit="bytes") as shown:
        size = packing.pack(folder, file, shown.share if progress else None)
    _say(progress, f"{file} holds {folder} in {packing.said(size)}, read again and equal")
    return file


def unpack_task(config: dict, *, progress: bool = True) -> Path:
    """Unpack the file of a config's `from` into its `into`, by default runs/NAME; the run's folder.

    Raises ConfigError: nothing is named; and what `gdlab.store.packing.unpack` raises.
    """
    if not config.get("from"):
        raise ConfigError(f"task=unpack needs the file that task=pack wrote: {_UNPACK}")
    file = Path(config["from"])
    folder = Path(config.get("into") or Path("runs") / file.stem)
    with Progress(file.name, 100, unit="bytes") as shown:
        run = packing.unpack(file, folder, shown.share if progress else None)
    _say(progress, f"{folder} is {run.state}, with every checksum right")
    return folder


def _say(progress: bool, words: str) -> None:
    if progress:
        print(f"gdlab: {words}", file=sys.stderr)
