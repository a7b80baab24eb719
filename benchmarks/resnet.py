"""Training residual networks, against a plain Flax loop, side by side: `python -m benchmarks.resnet`.

ResNet-20 on images of 32 x 32 and ResNet-50 on images of 224 x 224, momentum SGD, nothing recorded, on the
backend JAX finds. gdlab runs its own training loop, iterations inside one program; the other side is what a
Flax user writes: flax.linen's convolutions and batch normalisation with running averages, one jitted
step per iteration. Both begin at the same parameters and see the same generated images. The contestants
take turns, so that whatever else the machine does hits both; the least time of all rounds counts.
"""

import argparse
import resource

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.timing import least_seconds
from gdlab import models, problems
from gdlab.data import Dataset
from gdlab.training.loop import Steps, make_training

CASES = {"ResNet-20": (models.resnet20(), 32, 64), "ResNet-50": (models.resnet50(), 224, 4)}
ROUNDS = {"ResNet-20": (5, 3), "ResNet-50": (2, 2)}  # iterations of a round, rounds


class PlainBlock(nn.Module):
    """A block of a residual network as a Flax user writes it; options as in gdlab.models.resnet.Block."""

    filters: int
    stride: int
    bottleneck: bool

    @nn.compact
    def __call__(self, x, train=True):
        """Images [B, H, W, C] -> [B, H / stride, W / stride, F]."""
        normalise = _normalisation(train)
        plan = [(3, self.filters, self.stride), (3, self.filters, 1)]
        if self.bottleneck:
            plan = [(1, self.filters, 1), (3, self.filters, self.stride), (1, 4 * self.filters, 1)]
        y = x
        for i, (size, filters, stride) in enumerate(plan, 1):
            y = normalise(f"norm{i}")(_convolution(filters, size, stride, f"conv{i}")(y))
            y = nn.relu(y) if i < len(plan) else y
        if x.shape != y.shape and self.bottleneck:
            x = normalise("shortcut_norm")(_convolution(y.shape[3], 1, self.stride, "shortcut")(x))
        elif x.shape != y.shape:
            x = x[:, :: self.stride, :: self.stride]
            x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, y.shape[3] - x.shape[3])))
        return nn.relu(x + y)


class PlainStage(nn.Module):
    """Blocks one after another."""

    blocks: int
    filters: int
    stride: int
    bottleneck: bool

    @nn.compact
    def __call__(self, x, train=True):
        """Images through all of them."""
        for i in range(1, self.blocks + 1):
            stride = self.stride if i == 1 else 1
            x = PlainBlock(self.filters, stride, self.bottleneck, name=f"block{i}")(x, train)
        return x


class PlainResNet(nn.Module):
    """The network of `like`, a gdlab.models.ResNet, with the same names, of Flax's own layers."""

    like: models.ResNet

    @nn.compact
    def __call__(self, x, train=True):
        """Logits [B, classes] of images [B, H, W, C]."""
        like = self.like
        size, stride = (7, 2) if like.large else (3, 1)
        x = nn.relu(_normalisation(train)("norm1")(_convolution(like.filters[0], size, stride, "conv1")(x)))
        if like.large:
            x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for i, (filters, blocks) in enumerate(zip(like.filters, like.blocks, strict=True), 1):
            x = PlainStage(blocks, filters, 1 if i == 1 else 2, like.bottleneck, name=f"stage{i}")(x, train)
        return nn.Dense(like.classes, name="dense1")(x.mean(axis=(1, 2)))


def main():
    """Print seconds per step and images per second of both, their ratio, and how far the losses differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(CASES), help="one of the networks")
    parser.add_argument("--rounds", type=int, help="how often each side takes its turn")
    options = parser.parse_args()
    print(f"backend {jax.default_backend()}, {jax.local_device_count()} device(s), jax {jax.__version__}")
    heads = ("gdlab s", "flax s", "img/s", "img/s", "ratio", "loss diff")
    print(f"{'':12}{'batch':>6}" + "".join(f"{head:>10}" for head in heads))
    for name in [options.only] if options.only else CASES:
        network, side, batch = CASES[name]
        iterations, rounds = ROUNDS[name]
        runs = [make(network, side, batch, iterations) for make in (_gdlab, _plain)]
        losses = [run() for run in runs]  # compiles too
        ours, flax = least_seconds(runs, options.rounds or rounds)
        ours, flax = ours / iterations, flax / iterations
        print(
            f"{name:12}{batch:6}{ours:10.3f}{flax:10.3f}{batch / ours:10.1f}{batch / flax:10.1f}"
            f"{flax / ours:10.2f}{abs(losses[0] - losses[1]):10.1e}"
        )
    print(
        f"most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB, of both together"
    )


def _gdlab(network, side, batch, iterations):
    """A function that runs `iterations` in gdlab's training loop and returns the first loss."""
    x, y = _images(side, batch, network.classes)
    data = Dataset("generated", {"x": x, "y": y}, None, tuple(str(i) for i in range(network.classes)))
    problem = problems.classification(model=network, data=data)
    training = make_training(problem, _optimizer(), length=iterations, loss_end=False, several_descents=True)
    key = jax.random.key(0)
    steps = Steps(None, np.zeros(iterations, bool), np.zeros(iterations, np.int32))
    data = jax.device_put({"x": x, "y": y})
    state = training.init(key, data)
    return lambda: float(training.chunk(state, data, key, steps, iterations)[1].loss[0])


def _plain(network, side, batch, iterations):
    """The same by a jitted step that a loop in Python calls."""
    x, y = jax.device_put(_images(side, batch, network.classes))
    model, optimizer = PlainResNet(network), _optimizer()
    variables = jax.jit(model.init)(jax.random.key(0), x)

    @jax.jit
    def step(variables, state):
        def loss(params):
            given = {"params": params, "batch_stats": variables["batch_stats"]}
            logits, moved = model.apply(given, x, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), moved

        (value, moved), grads = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        updates, state = optimizer.update(grads, state, variables["params"])
        return {"params": optax.apply_updates(variables["params"], updates), **moved}, state, value

    def run():
        losses, now, state = [], variables, optimizer.init(variables["params"])
        for _ in range(iterations):
            now, state, value = step(now, state)
            losses.append(value)
        jax.block_until_ready(now)
        return float(losses[0])

    return run


def _optimizer():
    return optax.sgd(0.01, momentum=0.9)


def _images(side, batch, classes):
    rng = np.random.default_rng(0)
    return rng.standard_normal((batch, side, side, 3), np.float32), rng.integers(0, classes, batch, np.int32)


def _convolution(filters, size, stride, name):
    return nn.Conv(
        filters,
        (size, size),
        (stride, stride),
        padding=size // 2,
        use_bias=False,
        kernel_init=nn.initializers.he_normal(),
        name=name,
    )


def _normalisation(train):
    return lambda name: nn.BatchNorm(use_running_average=not train, momentum=0.9, name=name)


if __name__ == "__main__":
    main()
