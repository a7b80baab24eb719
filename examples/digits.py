"""What the examples train on: mini-batches of scikit-learn's handwritten digits."""

import argparse

import numpy as np

from gdlab.data.handwritten_digits import digits


def batches(steps, size=64, seed=0):
    """`steps` mini-batches {"x": [size, 8, 8, 1], "y": [size]}, in a new order every epoch."""
    train = digits().train
    rng, order = np.random.default_rng(seed), np.empty(0, int)
    for _ in range(steps):
        if len(order) < size:
            order = rng.permutation(len(train["y"]))
        rows, order = order[:size], order[size:]
        yield {name: array[rows] for name, array in train.items()}


def train_set():
    """{"x", "y"} of the digits that the examples train on."""
    return digits().train


def test_set():
    """{"x", "y"} of the digits that no example trains on."""
    return digits().test


def options(name):
    """The command line of an example: where to, and how many iterations."""
    parser = argparse.ArgumentParser(description="Trains on handwritten digits and records it.")
    parser.add_argument("folder", nargs="?", default=f"runs/{name}", help="the run folder")
    parser.add_argument("--steps", type=int, default=300, help="iterations")
    return vars(parser.parse_args())
