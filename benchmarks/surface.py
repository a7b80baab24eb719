"""A loss surface of Modified-LeNet against PyTorch: `python -m benchmarks.surface --data-dir FOLDER`.

19 x 19 grid points, 10,000 images of MNIST at 32 x 32: gdlab, the best plain PyTorch loop (no gradients,
large batches, parameters copied in place), and loss_landscapes from PyPI. Both need the extra `bench-torch`;
without it gdlab alone is measured. The slow peers are timed on `--peer-points` grid points and scaled.
The values are held against a float64 reference on a few points.
`--pca` measures the principal directions of a
generated path of 12,195 x 61,706 numbers in a file, with time and peak memory.
"""

import argparse
import os
import resource
import tempfile
import threading
import time

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gdlab.analysis.surfaces.pca import principal
from gdlab.analysis.surfaces.plane import random_plane
from gdlab.analysis.surfaces.rows import Rows
from gdlab.data import mnist
from gdlab.models.images_last import images_last, to_images_last
from gdlab.models.lenet import modified_lenet
from gdlab.probes.vectors.losses import Losses
from gdlab.problems import classification


def main():
    """Print seconds, ratios, the largest error and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=19)
    parser.add_argument("--peer-points", type=int, default=19)
    parser.add_argument("--pca", action="store_true", help="measure the PCA of a long path instead")
    parser.add_argument("--path", type=int, nargs=2, default=(12_195, 61_706))
    options = parser.parse_args()
    if options.pca:
        _pca(*options.path)
        return
    data = mnist(data_dir=options.data_dir, size=32, n_train=options.images)
    problem = classification(model=modified_lenet(), data=data)
    params = jax.jit(problem.init)(jax.random.key(0))
    vector, unravel = ravel_pytree(params)
    plane = random_plane(np.asarray(vector), [leaf.shape for leaf in jax.tree.leaves(params)])
    axis = np.linspace(-1, 1, options.side)
    points = np.stack([grid.ravel() for grid in np.meshgrid(axis, axis)], axis=1)
    vectors = plane.at(points).astype(np.float32)
    losses = Losses(problem, unravel, data.train, layout=(images_last, to_images_last))
    losses(vectors[: losses.points])  # compiles
    begun = time.perf_counter()
    values, *_ = losses(vectors)
    ours = time.perf_counter() - begun
    print(f"{len(vectors)} points x {options.images:,} images, {os.cpu_count()} cores, jax {jax.__version__}")
    print(f"gdlab            {ours:8.1f} s   {_peak():,.0f} MB at most so far")
    few = np.linspace(0, len(vectors) - 1, options.peer_points).round().astype(int)
    _check(problem, unravel, data.train, vectors, values, few[:3])
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: no peers")
        return
    model, x, y = _network(torch, data.train)
    peers = {"plain PyTorch": _plain, "loss_landscapes": _loss_landscapes}
    for name, peer in peers.items():
        found, seconds = peer(torch, model, x, y, [unravel(vector) for vector in vectors[few]])
        if found is None:
            print(f"{name:16} not installed")
            continue
        seconds *= len(vectors) / len(found)
        gap = np.abs(found - values[few[: len(found)]]).max()
        print(f"{name:16} {seconds:8.1f} s   {seconds / ours:5.1f} x   largest difference {gap:.1e}"
              f"   (timed on {len(found)} points)")  # fmt: skip


def _check(problem, unravel, data, vectors, values, chosen):
    """The largest difference from the loss in float64, on a few points."""
    with jax.enable_x64(True):
        wide = {n: np.asarray(a, np.float64 if a.dtype.kind == "f" else a.dtype) for n, a in data.items()}
        params = [jax.tree.map(lambda leaf: leaf.astype(np.float64), unravel(vectors[k])) for k in chosen]
        loss = jax.jit(lambda p, batch: problem.loss(p, batch, key=None))
        blocks = [{n: a[i : i + 500] for n, a in wide.items()} for i in range(0, len(wide["y"]), 500)]
        sizes = [len(block["y"]) for block in blocks]
        exact = [np.average([float(loss(p, b)) for b in blocks], weights=sizes) for p in params]
    print(f"largest error against float64: {np.abs(values[chosen] - exact).max():.1e}")


def _network(torch, data):
    """The same network in PyTorch, images and labels as tensors."""
    nn = torch.nn
    layers = []
    for before, filters in ((1, 5), (5, 10), (10, 10)):
        layers += [nn.Conv2d(before, filters, 3), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(40, 10)).requires_grad_(False)
    images = torch.from_numpy(np.ascontiguousarray(data["x"].transpose(0, 3, 1, 2)))
    return model, images, torch.from_numpy(data["y"].astype(np.int64))


def _load(torch, model, params):
    """Flax parameters into the PyTorch network, where filters come first, and channels before rows."""
    for number, layer in zip((1, 2, 3), (model[0], model[3], model[6]), strict=True):
        flax = params[f"conv{number}"]
        layer.weight.copy_(torch.tensor(np.asarray(flax["kernel"]).transpose(3, 2, 0, 1).copy()))
        layer.bias.copy_(torch.tensor(np.asarray(flax["bias"])))
    kernel = np.asarray(params["dense1"]["kernel"]).reshape(2, 2, 10, 10).transpose(3, 2, 0, 1)
    model[-1].weight.copy_(torch.tensor(kernel.reshape(10, 40).copy()))
    model[-1].bias.copy_(torch.tensor(np.asarray(params["dense1"]["bias"])))


def _plain(torch, model, x, y, every):
    """(losses, seconds) of a loop over points and batches without gradients, at the best batch size."""
    loss, found = torch.nn.CrossEntropyLoss(reduction="sum"), []

    def mean(batch):
        sums = [loss(model(a), b).double() for a, b in zip(x.split(batch), y.split(batch), strict=True)]
        return float(sum(sums)) / len(y)

    with torch.inference_mode():
        times = {}
        for batch in (50, 100, 250, 500, 1000):
            begun = time.perf_counter()
            mean(batch)
            times[batch] = time.perf_counter() - begun
        best = min(times, key=lambda batch: times[batch])
        begun = time.perf_counter()
        for params in every:
            _load(torch, model, params)
            found.append(mean(best))
    return np.array(found), time.perf_counter() - begun


def _loss_landscapes(torch, model, x, y, every):
    """(losses, seconds) of its `Loss` metric on all images, as its examples use it."""
    try:
        import loss_landscapes
        from loss_landscapes.metrics import Loss
    except ImportError:
        return None, 0.0
    metric, found = Loss(torch.nn.CrossEntropyLoss(), x, y), []
    begun = time.perf_counter()
    for params in every:
        with torch.no_grad():
            _load(torch, model, params)
        found.append(loss_landscapes.point(model, metric))
    return np.array(found), time.perf_counter() - begun


def _pca(rows, size):
    """Time and memory of the principal directions of a random walk [rows, size] in a file."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        path = np.lib.format.open_memmap(file.name, "w+", np.float32, (rows, size))
        rng, at = np.random.default_rng(0), np.zeros(size, np.float32)
        strong = rng.standard_normal((6, size), np.float32)
        for k in range(rows):
            at += 0.01 * (rng.standard_normal(6, np.float32) * np.arange(6, 0, -1, dtype=np.float32)) @ strong
            path[k] = at + 0.05 * rng.standard_normal(size, np.float32)
        path.flush()
        del path
        before = _own()
        begun = time.perf_counter()
        with _Watched() as watched:
            found = principal(Rows.of(np.load(file.name, mmap_mode="r")), 2)
        seconds = time.perf_counter() - begun
    print(f"PCA of {rows:,} x {size:,}: {seconds:.1f} s, {found.passes} passes")
    print(f"residual {found.residual:.1e}, explained {np.round(found.variance / found.total, 3)}")
    print(f"own memory before {before:,.0f} MB, at most {watched.most:,.0f} MB")


class _Watched(threading.Thread):
    """The most memory of its own that the process holds within the block, looked at 100 times a second."""

    def __enter__(self):
        self.most, self.over = 0.0, threading.Event()
        self.start()
        return self

    def __exit__(self, *exception):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(0.01):
            self.most = max(self.most, _own())


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _own():
    """Megabytes of the process's own pages now, those of mapped files not counted."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0]) / 1024


if __name__ == "__main__":
    main()
