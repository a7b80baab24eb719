"""Stands in for `gdlab.experiment.run_probe` in the worker's child process; needs no JAX."""

import os
import threading
import time
from pathlib import Path

import numpy as np

from gdlab.records import Table


def run_probe(path, probe, options, progress):
    """Each probe behaves in one way that the worker must cope with."""
    log = Path(path)
    if probe == "double":
        _note(log, f"double {options['x']}")
        return Table({"y": np.array([2 * options["x"]])}, {"y": ("i",)}, {})
    if probe == "large":
        _note(log, f"large {options['n']}")
        return Table({"y": np.zeros(options["n"])}, {"y": ("i",)}, {})
    if probe == "hold":  # goes on until the file `release` exists or the task is cancelled
        _note(log, "hold")
        try:
            while not Path(options["release"]).exists():
                progress(0.5, "holding")
                time.sleep(0.005)
        except BaseException:
            _note(log, "hold stopped")
            raise
        return Table({"y": np.zeros(1)}, {"y": ("i",)}, {})
    if probe == "deaf":  # reports nothing
        _note(log, f"deaf {os.getpid()}")
        while True:
            time.sleep(0.01)
    if probe == "stuck":  # neither reports nor computes
        threading.Event().wait()
    if probe == "refuse":
        raise ValueError("sigma=2 must lie in (rho, 1)")
    if probe == "bug":
        raise KeyError("lost")
    os._exit(7)


def _note(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(line + "\n")
