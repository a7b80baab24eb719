"""Small files of real handwriting: in MNIST's format, and as images in folders."""

import hashlib

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from gdlab.data.mnist_digits import MNIST_MD5

TRAIN, TEST = 200, 60


def handwriting(size):
    """Scikit-learn's digits as grey images [n, size, size] uint8, and their labels."""
    digits = load_digits()
    grey = (digits.images[: TRAIN + TEST] * 255 / 16).astype(np.uint8)
    images = [np.asarray(Image.fromarray(image).resize((size, size))) for image in grey]
    return np.stack(images), digits.target[: TRAIN + TEST]


def idx(array):
    """The bytes of an array in the IDX format of MNIST's files."""
    lengths = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


def write(folder, monkeypatch):
    """(folder in MNIST's format, folder of images) below `folder`; their checksums hold for the test."""
    images, labels = handwriting(28)
    parts = {"train": slice(0, TRAIN), "t10k": slice(TRAIN, None)}
    (folder / "mnist").mkdir()
    for part, rows in parts.items():
        for name, array in (("images-idx3", images[rows]), ("labels-idx1", labels[rows])):
            file = f"{part}-{name}-ubyte"
            (folder / "mnist" / file).write_bytes(idx(array))
            monkeypatch.setitem(MNIST_MD5, file, hashlib.md5(idx(array)).hexdigest())
    images, labels = handwriting(32)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = folder / "images" / ("train" if number < TRAIN else "test") / f"digit{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(place / f"{number}.png")
    return folder / "mnist", folder / "images"
