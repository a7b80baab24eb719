"""A made-up record with the structure and the size of ResNet-50's training on ImageNet.

Nothing is trained: classes learn at their own speeds, images waver less as the learning rate falls, three
restless dumps shake all classes, single classes jump, and filters of their own move when they do. A few
filters die, a few never settle. The same seed gives the same record.
"""

from typing import NamedTuple

import numpy as np

from gdlab import store
from gdlab.analysis.validation import COLUMNS as VALIDATION_COLUMNS
from gdlab.records import DISTRIBUTION, DUMP_COLUMNS, DUMP_STATISTICS, STEP_COLUMNS

FILTER_STATISTICS = (
    "weight_mean", "weight_std", "gradient_mean", "gradient_std",
    "update_norm", "change_norm", "cosine_distance",
)  # fmt: skip
INTERVAL = 1600  # iterations between dumps, as in the paper
STAGES = (1.0, 0.1, 0.01, 0.001)  # learning rates over the first one, a quarter of the training each
BLOCK = 25  # dumps made at once
QUANTILES = dict(zip(DISTRIBUTION[2:], (-3.5, -0.674, 0.0, 0.674, 3.5), strict=True))
DEAD, DYING, RESTLESS = 2, 60, 40  # the first filters never move, others die early, others never settle
OWN, SHAKEN = 10, 60  # filters that move with a class, with all classes


class Happening(NamedTuple):
    """What happens at single dumps: shift [D, C] of every class's skill, and moved {dump: filters}."""

    shift: np.ndarray
    moved: dict[int, np.ndarray]


def write(path, *, dumps=750, classes=1000, images=50, seed=0):
    """Write the record of `dumps` dumps, `classes` classes of `images` images each, into a new folder."""
    rng = np.random.default_rng(seed)
    nodes = network(classes)
    layers = [node for node in nodes if node["kind"] != "group"]
    happening = _happening(rng, dumps, classes, layers)
    curves = _Classes(rng, dumps, classes, images, happening.shift)
    weights = _Filters(rng, dumps, nodes, happening.moved)
    identity = {"network": {"nodes": nodes}, "classes": [f"class {c:03d}" for c in range(classes)]}
    config = {
        "name": "resnet50", "made_up": True, "seed": seed,
        "model": {"name": "resnet50"}, "dataset": {"name": "imagenet"},
        "optimizer": {"name": "momentum", "learning_rate": 0.1},
        "train": {"steps": (dumps - 1) * INTERVAL, "batch_size": 128},
    }  # fmt: skip
    arrays = _arrays(nodes, classes * images)
    with store.RunWriter.create(path, config=config, identity=identity, arrays=arrays) as writer:
        labels = np.repeat(np.arange(classes, dtype=np.uint16), images)
        order = np.argsort(rng.permutation(labels), kind="stable")
        writer.append({"dump/label": labels[None], "dump/image": order[None].astype(np.int32)})
        for start in range(0, dumps, BLOCK):
            at = np.arange(start, min(start + BLOCK, dumps))
            rows = curves.rows(at) | weights.rows(at)
            taken = [DUMP_COLUMNS.index(name) for name in VALIDATION_COLUMNS]
            writer.append(rows | {"validation": rows["dump/scalars"][:, taken]})
            if start + BLOCK < dumps or len(at) > 1:
                writer.append({"scalars": _steps(rng, rows["dump/scalars"], at, dumps)})
            writer.commit()
        writer.set_status("finished")


def network(classes):
    """The nodes of ResNet-50, projections included: 54 layers, 16 blocks, 4 stages."""
    nodes, inputs, first = [], 64, 0

    def add(name, parent, filters, weights, kind):
        nonlocal first
        nodes.append({"name": name, "parent": parent, "first": first, "filters": filters, "weights": weights})
        nodes[-1]["kind"] = kind
        first += filters if kind != "group" else 0
        return len(nodes) - 1

    add("conv1", -1, 64, 147, "conv")
    for s, (width, blocks) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True), 1):
        stage = add(f"stage{s}", -1, 0, 0, "group")
        for b in range(1, blocks + 1):
            name = f"stage{s}/block{b}"
            block = add(name, stage, 0, 0, "group")
            add(f"{name}/conv1", block, width, inputs, "conv")
            add(f"{name}/conv2", block, width, 9 * width, "conv")
            add(f"{name}/conv3", block, 4 * width, width, "conv")
            if b == 1:
                add(f"{name}/shortcut", block, 4 * width, inputs, "conv")
            inputs = 4 * width
    add("dense1", -1, classes, inputs, "dense")
    for node in reversed(nodes):
        if node["parent"] >= 0:
            above, size = nodes[node["parent"]], node["weights"]
            above["filters"] += node["filters"]
            above["weights"] += size * node["filters"] if node["kind"] != "group" else size
    return nodes


def _arrays(nodes, images):
    names = tuple(node["name"] for node in nodes)
    filters = sum(node["filters"] for node in nodes if node["kind"] != "group")
    spec = store.ArraySpec
    return {
        "scalars": spec("f8", (len(STEP_COLUMNS),), STEP_COLUMNS),
        "validation": spec("f8", (len(VALIDATION_COLUMNS),), VALIDATION_COLUMNS),
        "dump/scalars": spec("f8", (len(DUMP_COLUMNS),), DUMP_COLUMNS, ("dump", "column")),
        "dump/predicted": spec("u2", (images,), dims=("dump", "image")),
        "dump/label": spec("u2", (images,), dims=("once", "image")),
        "dump/image": spec("i4", (images,), dims=("once", "image")),
        **{f"dump/filter/{s}": spec("f4", (filters,), dims=("dump", "filter")) for s in FILTER_STATISTICS},
        **{f"dump/layer/{s}": spec("f4", (len(nodes),), names, ("dump", "layer")) for s in DUMP_STATISTICS},
    }


def _happening(rng, dumps, classes, layers):
    """Three shaken dumps of the first stage, and up to three of each class, most of them early."""
    first = np.cumsum([0, *(layer["filters"] for layer in layers)])
    shallow, deep = first[len(layers) // 4], (first[len(layers) // 2], first[-2])
    shift, moved = np.zeros((dumps, classes)), {}
    for dump in rng.choice(np.arange(dumps // 12, dumps // 4), 3, replace=False):
        shift[dump] -= rng.uniform(1.5, 3, classes)
        moved[int(dump)] = [rng.integers(DEAD, shallow, SHAKEN)]
    for c in range(classes):
        own = rng.integers(*deep, OWN)
        for _ in range(rng.choice(4, p=(0.4, 0.3, 0.2, 0.1))):
            dump = int(dumps * (rng.beta(1.2, 4) * 0.95 + 0.03))
            lasting = rng.choice((1, dumps // 20, dumps))
            shift[dump : dump + lasting, c] += rng.choice((-3.0, 3.0))
            moved.setdefault(dump, []).append(own)
    return Happening(shift, {dump: np.unique(np.concatenate(sets)) for dump, sets in moved.items()})


def _rate(at, dumps):
    """The learning rate over the first one."""
    return np.array(STAGES)[np.minimum(at * len(STAGES) // max(1, dumps - 1), len(STAGES) - 1)]


class _Classes:
    """Predictions: an image is right while its class's skill and its own luck together are positive."""

    def __init__(self, rng, dumps, classes, images, shift):
        self.rng, self.dumps = rng, dumps
        self.label = np.repeat(np.arange(classes), images)
        gain = np.concatenate([[0.0], np.cumsum(np.diff(np.log10(_rate(np.arange(dumps), dumps))) < -0.5)])
        speed = dumps * rng.lognormal(np.log(0.08), 0.6, classes)
        learned = 1 - np.exp(-np.arange(dumps)[:, None] / speed)
        hard = rng.normal(0, 1.2, classes)
        self.skill = -4.5 + 5 * learned + 0.5 * np.sqrt(gain)[:, None] - hard + shift
        self.ease = rng.normal(0, 1, len(self.label)) - 6 * (rng.random(len(self.label)) < 0.02)
        self.luck = rng.normal(0, 1, len(self.label))
        # Neighbours c and c ^ 1 are mistaken for each other; each image has a favourite among four.
        near = np.stack([np.arange(classes) ^ 1, *rng.integers(0, classes, (3, classes))], axis=1) % classes
        pick = rng.choice(4, len(self.label), p=(0.55, 0.2, 0.15, 0.1))
        self.favourite = near[self.label, pick]

    def rows(self, at):
        """Rows of the dumps `at`, which have to come one after the other."""
        predicted = np.empty((len(at), len(self.label)), np.uint16)
        scalars = np.empty((len(at), len(DUMP_COLUMNS)))
        classes = self.skill.shape[1]
        for i, dump in enumerate(at):
            keep = 0.9
            self.luck = keep * self.luck + np.sqrt(1 - keep**2) * self.rng.normal(0, 1, len(self.label))
            size = 0.25 + 0.9 * _rate(dump, self.dumps) ** 0.5
            right = self.skill[dump, self.label] + self.ease + size * self.luck > 0
            stray = self.rng.random(len(self.label), np.float32) < 0.15
            wrong = np.where(stray, self.rng.integers(0, classes, len(self.label)), self.favourite)
            predicted[i] = np.where(right, self.label, wrong)
            accuracy = (predicted[i] == self.label).mean()
            ahead = 0.14 * dump / self.dumps  # the training images' lead over the validation images
            train = min(accuracy + ahead, 0.999)
            losses = (7.2 * (1 - accuracy) ** 1.4 + 0.3, 7.2 * (1 - train) ** 1.4 + 0.2)
            rate = 0.1 * _rate(dump, self.dumps)
            scalars[i] = (dump * INTERVAL, rate, losses[0], accuracy, losses[1], train)
        return {"dump/predicted": predicted, "dump/scalars": scalars}


class _Filters:
    """Statistics of filters, and of layers and groups by pooling them."""

    def __init__(self, rng, dumps, nodes, moved):
        self.rng, self.dumps, self.moved = rng, dumps, moved
        self.nodes = nodes
        layers = [node for node in nodes if node["kind"] != "group"]
        counts = [layer["filters"] for layer in layers]
        self.weights = np.repeat([float(layer["weights"]) for layer in layers], counts)
        dense = np.repeat([layer["kind"] == "dense" for layer in layers], counts)
        count = len(self.weights)
        self.drift = np.where(dense, 0.05, -0.3) * rng.uniform(0.3, 1, count) / np.sqrt(self.weights)
        self.spread = np.sqrt(2 / self.weights) * rng.lognormal(0, 0.15, count)
        self.pace = rng.lognormal(0, 0.5, count) * np.repeat(rng.lognormal(0, 0.3, len(layers)), counts)
        self.died = np.full(count, dumps)
        self.died[:DEAD] = 0
        chosen = DEAD + rng.choice(count - DEAD, DYING + RESTLESS, replace=False)
        self.died[chosen[:DYING]] = rng.integers(1, max(2, dumps // 8), DYING)
        self.restless = chosen[DYING:]

    def rows(self, at):
        """Rows of the dumps `at`, of filters and of layers."""
        shape = len(at), len(self.weights)
        age, rate = at[:, None] / self.dumps, _rate(at, self.dumps)[:, None]
        shrunk = 0.55 + 0.45 * np.exp(-8 * age)
        dead = at[:, None] >= self.died
        alive_age = np.minimum(age, self.died / self.dumps)
        mean = self.drift * (1 - np.exp(-12 * alive_age)) * shrunk
        std = self.spread * shrunk * np.where(dead, np.exp(-2 * (age - alive_age)), 1)
        norm = np.sqrt(self.weights * (mean**2 + std**2))
        turned = 2e-3 * (rate + 2e-4) * self.pace * self.rng.lognormal(0, 0.4, shape)
        turned *= 1 + 30 * np.exp(-60 * age)
        turned[:, self.restless] = 2e-3 * self.rng.lognormal(0, 0.3, (len(at), RESTLESS))
        for i, dump in enumerate(at):
            if dump in self.moved:
                turned[i, self.moved[dump]] *= self.rng.uniform(20, 60, len(self.moved[dump]))
        turned = np.where(dead, 0, np.minimum(turned, 1.0))
        gradient = 2e-3 * self.spread * (0.3 + np.exp(-4 * age)) * self.rng.lognormal(0, 0.5, shape)
        gradient[dead] = 0
        length = np.sqrt(self.weights) * gradient
        shrink = 0.45 * 8 * np.exp(-8 * age) / self.dumps
        changed = norm * np.sqrt(2 * turned + shrink**2)
        update = 0.1 * rate * (3 * length + 1e-4 * norm)
        changed[at == 0], turned[at == 0] = np.nan, np.nan
        update[at == self.dumps - 1] = np.nan
        lean = gradient * self.rng.normal(0, 0.05, shape)
        values = (mean, std, lean, gradient, update, changed, turned)
        found = dict(zip(FILTER_STATISTICS, values, strict=True))
        return self._layers(found) | {
            f"dump/filter/{name}": array.astype(np.float32) for name, array in found.items()
        }

    def _layers(self, found):
        out = {name: np.empty((len(found["weight_mean"]), len(self.nodes))) for name in DUMP_STATISTICS}
        for i, node in enumerate(self.nodes):
            part = slice(node["first"], node["first"] + node["filters"])
            share = self.weights[part] / self.weights[part].sum()
            for kind in ("weight", "gradient"):
                mean, std = (found[f"{kind}_{name}"][:, part] for name in ("mean", "std"))
                centre = mean @ share
                width = np.sqrt((std**2 + (mean - centre[:, None]) ** 2) @ share)
                out[f"{kind}_mean"][:, i], out[f"{kind}_std"][:, i] = centre, width
                for name, where in QUANTILES.items():
                    out[f"{kind}_{name}"][:, i] = centre + where * width
            for name in ("update_norm", "change_norm"):
                out[name][:, i] = np.sqrt((found[name][:, part] ** 2).sum(axis=1))
            squares = self.weights[part].sum() * (
                out["weight_mean"][:, i] ** 2 + out["weight_std"][:, i] ** 2
            )
            out["cosine_distance"][:, i] = out["change_norm"][:, i] ** 2 / (2 * squares)
        return {f"dump/layer/{name}": array.astype(np.float32) for name, array in out.items()}


def _steps(rng, scalars, at, dumps):
    """A row of the training for each iteration between these dumps and the ones after them."""
    count = (min(at[-1] + 1, dumps - 1) - at[0]) * INTERVAL
    rows = np.full((count, len(STEP_COLUMNS)), np.nan)
    loss = np.interp(np.arange(count) / INTERVAL + at[0], at, scalars[:, DUMP_COLUMNS.index("train_loss")])
    loss *= rng.lognormal(0, 0.05, count)
    column = {name: i for i, name in enumerate(STEP_COLUMNS)}
    rows[:, column["loss"]] = rows[:, column["loss_end"]] = loss
    rows[:, column["step_size"]] = 0.1 * _rate(at[0] + np.arange(count) // INTERVAL, dumps)
    for name in ("restarted", "new_descent", "status", "descent", "epoch"):
        rows[:, column[name]] = 0
    rows[:, column["evaluations"]] = 1
    rows[:, column["seconds"]] = 0.3 * (at[0] * INTERVAL + np.arange(count))
    return rows
