"""What a command that came to nothing leaves behind: nothing.

Hydra makes the folder of a run before anything is looked at. Which folders were not there before is noted as
it begins (`hydra.callbacks` in conf/config.yaml), so that those that stay empty can be removed in the end.
"""

from pathlib import Path

from hydra.experimental.callback import Callback

_GRID = "multirun.yaml"  # what Hydra writes of a sweep
_new: list[Path] = []


class Noted(Callback):
    """Notes which folders a run or sweep is about to make."""

    def on_run_start(self, config, **unused):
        """Called by Hydra before it makes the folder of a run."""
        _note(config.hydra.run.dir)

    def on_multirun_start(self, config, **unused):
        """Called by Hydra before it makes the folder of a sweep."""
        _note(config.hydra.sweep.dir)


def remove_empty(folder=None):
    """Remove `folder` where it is empty, else all new folders that are, or that hold nothing but a grid."""
    for path in [folder] if folder is not None else _new:
        try:
            if folder is None and [item.name for item in path.iterdir()] == [_GRID]:
                (path / _GRID).unlink()
            path.rmdir()
        except OSError:
            continue


def _note(place):
    path = Path(place).absolute()
    _new[:] = [one for one in (path, *path.parents) if not one.exists()]
