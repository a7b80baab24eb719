"""gdlab shows what gradient descent really does: record a training, look at it from afar and near.

Names are imported on first use, so that `import gdlab` costs nothing and never starts JAX.
"""

import importlib

from gdlab import starting

if starting.is_main():  # before anything else is imported
    starting.answer_interrupts()

__version__ = "0.1.0"

_PUBLIC = {
    "Problem": "gdlab.records",
    "StepInfo": "gdlab.records",
    "LineSearchTrace": "gdlab.records",
    "Table": "gdlab.records",
    "open_run": "gdlab.store",
    "two_phase": "gdlab.linesearch",
    "conjugate_gradient": "gdlab.optim",
    "minimize": "gdlab.optim",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'gdlab' has no attribute '{name}'")


def __dir__():
    return sorted(__all__)
