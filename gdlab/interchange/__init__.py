"""What others have recorded as runs of gdlab, and their writers' interfaces over a Recorder.

NumPy alone, no JAX: importing runs starts no device, and the writers hand on what they are given.
"""

from gdlab.interchange.finding import FORMATS
from gdlab.interchange.importing import Imported, import_runs
from gdlab.interchange.source import Unreadable
from gdlab.interchange.writers import Callback, LeftOutWarning, LoggingBackend, MetricWriter

__all__ = [
    "FORMATS",
    "Callback",
    "Imported",
    "LeftOutWarning",
    "LoggingBackend",
    "MetricWriter",
    "Unreadable",
    "import_runs",
]
