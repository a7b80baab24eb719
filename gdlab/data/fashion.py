"""Fashion-MNIST: 70,000 pictures of clothes in MNIST's format and shape, harder to tell apart.

Source: Xiao, Rasul, Vollgraf 2017, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
Learning Algorithms, arXiv:1708.07747; files and checksums: github.com/zalandoresearch/fashion-mnist.
"""

import os
from collections.abc import Mapping

from gdlab.data.dataset import Dataset
from gdlab.data.idx import IdxSource, idx_dataset

# MD5 of the gzip files, as its authors publish them.
FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_SOURCE = IdxSource(
    name="fashion_mnist",
    classes=CLASSES,
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    gzip_md5=FASHION_MNIST_MD5,
    by_content=False,
)


def fashion_mnist(
    *,
    data_dir: str | os.PathLike | None = None,
    size: int = 28,
    enlarge: str = "bilinear",
    n_train: int | None = None,
    n_test: int | None = None,
    checksums: Mapping[str, str] | None = FASHION_MNIST_MD5,
) -> Dataset:
    """The clothes of Fashion-MNIST; x float32 [60000, size, size, 1], y int32.

    data_dir   where the four gzip files lie, in it or in its folder `fashion_mnist`; None: the
               environment variable GDLAB_DATA, else the user's cache, filled on first use
    checksums  MD5 of the gzip files by file name (of their content none is published); None accepts
               any content, plain files too

    The other arguments, the scaling and the errors are those of `gdlab.data.mnist`.
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
