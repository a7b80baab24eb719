"""MNIST: 70,000 handwritten digits of 28 x 28 pixels.

Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits.
"""

import os
from collections.abc import Mapping

from gdlab.data.dataset import Dataset
from gdlab.data.idx import IdxSource, idx_dataset

# MD5 of the decompressed files.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_SOURCE = IdxSource(
    name="mnist",
    classes=tuple("0123456789"),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    gzip_md5={
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    by_content=True,
)


def mnist(
    *,
    data_dir: str | os.PathLike | None = None,
    size: int = 28,
    enlarge: str = "bilinear",
    n_train: int | None = None,
    n_test: int | None = None,
    checksums: Mapping[str, str] | None = MNIST_MD5,
) -> Dataset:
    """The handwritten digits of MNIST; x float32 [60000, size, size, 1], y int32.

    data_dir   where the four files lie, in it or in its folder `mnist`; None: the environment
               variable GDLAB_DATA, else the user's cache, filled by a download on first use
    size       28 as published, or larger: `enlarge` by "bilinear" interpolation or by a border
               ("pad"; size - 28 even)
    n_train    use the first so many training images only; n_test likewise
    checksums  MD5 of the decompressed content by file name; None accepts any content

    Grey values are shifted and scaled to mean 0 and standard deviation 1 over the training set, before images
    are enlarged: interpolated to 32 x 32 they deviate by 0.94.

    Raises:
      FileNotFoundError: `data_dir` lacks a file, or the download failed.
      DataFileError: a wrong checksum, a truncated or foreign file.
      ValueError: a wrong size or number.
    """
    return idx_dataset(
        _SOURCE,
        data_dir=data_dir,
        size=size,
        enlarge=enlarge,
        n_train=n_train,
        n_test=n_test,
        checksums=checksums,
    )
