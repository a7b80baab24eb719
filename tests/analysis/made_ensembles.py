"""Run folders of ensembles for tests, written by the store itself: any accuracy over time, without JAX."""

from pathlib import Path

import numpy as np

from gdlab import store
from gdlab.records import STEP_COLUMNS

VALIDATION = ("iteration", "loss", "accuracy", "train_loss", "train_accuracy")


def config(learning_rate=0.01, momentum=0.5, *, seed=0, steps=100, model="hamid_mnist", **others):
    """A nested configuration as Hydra would compose it; others: flat keys, as {"model.dropout": 0.1}."""
    made = {
        "problem": {"_target_": "gdlab.problems.classification"},
        "model": {"_target_": f"gdlab.models.{model}", "filters": [3, 4]},
        "optimizer": {"_target_": "optax.sgd", "learning_rate": learning_rate, "momentum": momentum},
        "seed": seed,
        "train": {"steps": steps},
        "record": {"validate": 10},
        "name": "made",
        "data_dir": None,
    }
    for key, value in others.items():
        *parts, last = key.split(".")
        place = made
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return made


def make(
    path: Path,
    config: dict,
    step=(),
    accuracy=(),
    *,
    state="finished",
    iterations=None,
    correlations=None,
    correlation_step=(),
    parameters=100,
):
    """The Run with these rows of validation [n]; correlations: {layer: [m, F, F]} at correlation_step [m]."""
    step, accuracy = np.asarray(step, float), np.asarray(accuracy, float)
    iterations = int(max(step, default=0)) if iterations is None else iterations
    arrays = {"scalars": store.ArraySpec("f8", (len(STEP_COLUMNS),), STEP_COLUMNS)}
    rows = {"scalars": np.zeros((iterations, len(STEP_COLUMNS)))}
    if len(step):
        arrays["validation"] = store.ArraySpec("f8", (5,), VALIDATION)
        rows["validation"] = np.stack([step, 2 - accuracy, accuracy, 1.9 - accuracy, accuracy + 0.01], axis=1)
    for layer, r in (correlations or {}).items():
        arrays[f"correlation/{layer}"] = store.ArraySpec("f4", np.shape(r)[1:])
        rows[f"correlation/{layer}"] = np.asarray(r, np.float32)
    if correlations:
        arrays["correlation/step"] = store.ArraySpec("i8")
        rows["correlation/step"] = np.asarray(correlation_step, np.int64)
    identity = {"parameters": parameters}
    with store.RunWriter.create(path, config=config, identity=identity, arrays=arrays) as writer:
        writer.append(rows)
        writer.commit()
        writer.set_status(state)
    return store.open_run(path)


def symmetric(random, count, filters):
    """`count` signed correlation matrices [count, F, F] of random activations, some of them alike."""
    shared = random.standard_normal((count, 40, 1))
    values = random.standard_normal((count, 40, filters)) + shared * random.random(filters)
    r = np.stack([np.corrcoef(part.T) for part in values])
    r = (r + r.transpose(0, 2, 1)) / 2
    r[:, np.arange(filters), np.arange(filters)] = 1
    return r
