"""Ensembles of made-up runs for the server's tests: a grid of two hyper-parameters, or a thousand of ten.

The accuracies follow a diagonal of learning rate and momentum; the filters' correlations are those of random
activations that share more and more of one signal, so that the pages have something to show.
"""

from pathlib import Path

import numpy as np

from gdlab import store

VALIDATION = ("iteration", "loss", "accuracy", "train_loss", "train_accuracy")
LAYERS = {"conv1": 6, "conv2": 8}
MODEL = {"_target_": "gdlab.models.hamid"}


def write(path: Path, config: dict, rows, *, correlations=None, state="finished", parameters=100) -> Path:
    """A run with rows [n, 5] of validation and correlations {"step": [k], layer: [k, F, F]}."""
    arrays = {"validation": store.ArraySpec("f8", (len(VALIDATION),), VALIDATION)}
    found = {"validation": np.asarray(rows, float)}
    for name, values in (correlations or {}).items():
        values = np.asarray(values, "i8" if name == "step" else "f4")
        arrays[f"correlation/{name}"] = store.ArraySpec(values.dtype.str[1:], values.shape[1:])
        found[f"correlation/{name}"] = values
    with store.RunWriter.create(
        path, config=config, identity={"parameters": parameters}, arrays=arrays, pyramids=()
    ) as writer:
        writer.append({name: values for name, values in found.items() if len(values)})
        writer.commit()
        writer.set_status(state)
    return path


def grid(root: Path, *, size: int = 4, steps: int = 100, times: int = 6, layers=LAYERS) -> list[str]:
    """size x size finished runs under root/sweep; returns their names."""
    names = []
    step = np.linspace(0, steps, times).astype(int)
    for i, rate in enumerate(0.01 * 1.3 ** np.arange(size)):
        for j, momentum in enumerate(np.linspace(0.3, 0.9, size).round(6)):
            name = f"sweep/learning_rate={rate:.5g},momentum={momentum:.3g}"
            config = configuration(steps, learning_rate=float(rate), momentum=float(momentum))
            quality = 0.97 - 0.1 * abs(i + j - size + 1) / size
            write(
                root / name, config, validation(step, quality, seed=size * i + j),
                correlations=correlated(step, layers, strength=(i + j + 1) / (2 * size), seed=size * i + j),
            )  # fmt: skip
            names.append(name)
    return names


def thousand(root: Path, *, count: int = 1000, parameters: int = 10, times: int = 21) -> None:
    """`count` runs that differ in `parameters` hyper-parameters, one of them text."""
    random = np.random.default_rng(0)
    step = np.linspace(0, 1000, times).astype(int)
    for number in range(count):
        values = {
            f"parameter_{j}": float(f"{10 ** random.uniform(-3, 0):.4g}") for j in range(parameters - 1)
        }
        config = configuration(1000, kind=("plain", "nesterov", "adam")[number % 3], **values)
        quality = 0.98 - 0.3 * abs(values["parameter_0"] - values["parameter_1"])
        write(root / "sweep" / f"{number:04d}", config, validation(step, quality, seed=number))


def configuration(steps: int, **optimizer) -> dict:
    """A nested configuration as Hydra would compose it."""
    return {
        "model": MODEL, "dataset": {"_target_": "gdlab.data.mnist"}, "seed": 0, "train": {"steps": steps},
        "optimizer": {"_target_": "optax.sgd", **optimizer},
    }  # fmt: skip


def validation(step, quality: float, seed: int = 0):
    """Rows [n, 5] whose accuracy climbs from a tenth to `quality`."""
    random = np.random.default_rng(seed)
    gone = 1 - np.exp(-5 * step / max(step[-1], 1))
    accuracy = np.clip(0.1 + (quality - 0.1) * gone + 0.005 * random.standard_normal(len(step)), 0, 1)
    loss = 0.02 - np.log(np.clip(accuracy, 1e-3, 1))
    return np.stack([step, loss, accuracy, 0.9 * loss, np.clip(1.01 * accuracy, 0, 1)], axis=1)


def correlated(step, layers=LAYERS, *, strength: float = 0.5, seed: int = 0):
    """{"step": [k], layer: [k, F, F]} of activations that share a signal, the more the later."""
    random = np.random.default_rng(seed)
    found = {"step": step}
    for name, filters in layers.items():
        signal, noise = random.standard_normal((40, 2)), random.standard_normal((40, filters))
        mix = random.standard_normal((2, filters))
        shares = strength * (1 + np.arange(len(step)) / len(step))
        found[name] = np.stack([np.corrcoef(share * signal @ mix + noise, rowvar=False) for share in shares])
    return found
