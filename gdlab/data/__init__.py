"""Data: datasets as NumPy arrays, and the order in which training sees them. Nothing here imports JAX."""

from gdlab.data.cifar import cifar10, cifar100
from gdlab.data.dataset import Dataset
from gdlab.data.fashion import fashion_mnist
from gdlab.data.files import DataFileError
from gdlab.data.handwritten_digits import digits
from gdlab.data.heat_points import heat_points
from gdlab.data.idx import read_idx
from gdlab.data.image_files import images
from gdlab.data.mnist_digits import mnist
from gdlab.data.python_source import python_source
from gdlab.data.sampling import Schedule
from gdlab.data.sine_wave import sinusoid
from gdlab.data.spiral_arms import galaxy

__all__ = [
    "DataFileError",
    "Dataset",
    "Schedule",
    "cifar10",
    "cifar100",
    "digits",
    "fashion_mnist",
    "galaxy",
    "heat_points",
    "images",
    "mnist",
    "python_source",
    "read_idx",
    "sinusoid",
]
