"""gdlab shows what gradient descent really does: record a training, look at it from afar and near.

    config = gdlab.compose("experiment=digits_cg", "train.steps=50")
    run = gdlab.run(config, "runs/mine")                            # train and record
    run = gdlab.open_run("runs/mine")                               # read what was recorded
    table = gdlab.run_probe("runs/mine", "confusion", {"iteration": 50})   # ask what needs parameters
    found = gdlab.minimize(loss, params)                            # minimise, nothing recorded
    recorder = gdlab.Recorder("runs/own")                           # record a loop of one's own
    gdlab.import_runs("lightning_logs", "runs/old")                 # make runs of what others recorded

Names are imported on first use, so that `import gdlab` costs nothing and never starts JAX.
"""

import importlib
from typing import TYPE_CHECKING

from gdlab import starting

if starting.is_main():  # before anything else is imported
    starting.answer_interrupts()

if TYPE_CHECKING:
    from gdlab.commands.composition import compose as compose
    from gdlab.ensemble import Outcome as Outcome
    from gdlab.ensemble import train as train_many  # noqa: F401
    from gdlab.execution.opening import open_replay as open_replay
    from gdlab.execution.probing import run_probe as run_probe
    from gdlab.execution.replay import Replay as Replay
    from gdlab.experiment import run as run
    from gdlab.interchange import import_runs as import_runs
    from gdlab.linesearch import two_phase as two_phase
    from gdlab.optim import conjugate_gradient as conjugate_gradient
    from gdlab.optim import fast_conjugate_gradient as fast_conjugate_gradient
    from gdlab.optim import minimize as minimize
    from gdlab.recorder import Recorder as Recorder
    from gdlab.recorder import activations_of as activations_of
    from gdlab.recorder import observe as observe
    from gdlab.recorder import watch as watch
    from gdlab.records import LineSearchTrace as LineSearchTrace
    from gdlab.records import Problem as Problem
    from gdlab.records import StepInfo as StepInfo
    from gdlab.records import Table as Table
    from gdlab.store import Run as Run
    from gdlab.store import list_runs as list_runs
    from gdlab.store import open_run as open_run

__version__ = "0.2.0"

# {name: where it is}; type checkers and completion read the same above.
_PUBLIC = {
    "LineSearchTrace": "gdlab.records:LineSearchTrace",
    "Outcome": "gdlab.ensemble:Outcome",
    "Problem": "gdlab.records:Problem",
    "Recorder": "gdlab.recorder:Recorder",
    "Replay": "gdlab.execution.replay:Replay",
    "Run": "gdlab.store:Run",
    "StepInfo": "gdlab.records:StepInfo",
    "Table": "gdlab.records:Table",
    "activations_of": "gdlab.recorder:activations_of",
    "compose": "gdlab.commands.composition:compose",
    "conjugate_gradient": "gdlab.optim:conjugate_gradient",
    "fast_conjugate_gradient": "gdlab.optim:fast_conjugate_gradient",
    "import_runs": "gdlab.interchange:import_runs",
    "list_runs": "gdlab.store:list_runs",
    "minimize": "gdlab.optim:minimize",
    "observe": "gdlab.recorder:observe",
    "open_replay": "gdlab.execution.opening:open_replay",
    "open_run": "gdlab.store:open_run",
    "run": "gdlab.experiment:run",
    "run_probe": "gdlab.execution.probing:run_probe",
    "train_many": "gdlab.ensemble:train",
    "two_phase": "gdlab.linesearch:two_phase",
    "watch": "gdlab.recorder:watch",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name in _PUBLIC:
        module, _, attribute = _PUBLIC[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    raise AttributeError(f"module 'gdlab' has no attribute '{name}'")


def __dir__():
    return sorted(__all__)
