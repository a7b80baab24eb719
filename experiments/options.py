"""The command-line options that every experiment on MNIST and CIFAR-10 takes."""

import argparse
from pathlib import Path


def parser(command, documentation, folder, seeds=None):
    """An ArgumentParser with runs, out, mnist, cifar10, images, seeds and short.

    documentation: of the module, its first line is shown; folder: where to write; seeds: what they are of,
    None: no such option.
    """
    options = argparse.ArgumentParser(prog=command, description=documentation.splitlines()[0])
    options.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders lie (runs)")
    options.add_argument("--out", type=Path, default=folder, help="where to write (this experiment's folder)")
    options.add_argument("--mnist", help="folder of MNIST's files")
    options.add_argument("--cifar10", help="folder of CIFAR-10's files, or of its images with --images")
    options.add_argument("--images", action="store_true", help="CIFAR-10 lies there as image files, or a zip")
    if seeds is not None:
        options.add_argument("--seeds", type=int, default=3, help=f"seeds of {seeds} (3)")
    options.add_argument("--short", action="store_true", help="a quick pass of every part, for tests")
    return options
