"""Data: datasets as NumPy arrays, and the order in which training sees them. Nothing here imports JAX."""

from gdlab.data.dataset import Dataset
from gdlab.data.handwritten_digits import digits
from gdlab.data.idx import DataFileError, mnist, read_idx
from gdlab.data.sampling import Schedule
from gdlab.data.spiral_arms import galaxy

__all__ = ["DataFileError", "Dataset", "Schedule", "digits", "galaxy", "mnist", "read_idx"]
