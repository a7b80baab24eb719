"""gdlab's convolution against Flax's, side by side: `python -m benchmarks.convolution`.

One Adam step of a network of three convolutions, batch 64, images of 32 x 32, inside `lax.scan` as
training runs it, on the backend JAX finds. The contestants take turns, so that whatever else the
machine does hits both; the least time of all rounds counts. Target on a CPU: 10 times faster.
"""

import argparse

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.timing import least_seconds
from gdlab.models.layers import Conv, max_pool

WIDTHS = {"Modified-LeNet": (5, 10, 10), "16-32-64": (16, 32, 64)}


class Network(nn.Module):
    """Three 3 x 3 convolutions without padding, each with ReLU and 2 x 2 pooling, and a dense layer."""

    widths: tuple[int, ...]
    ours: bool

    @nn.compact
    def __call__(self, x):
        """Logits [B, 10] of images x [B, H, W, 1]."""
        for number, width in enumerate(self.widths):
            layer = Conv if self.ours else nn.Conv
            x = nn.relu(layer(width, (3, 3), padding="VALID", name=f"conv{number + 1}")(x))
            x = max_pool(x) if self.ours else nn.max_pool(x, (2, 2), (2, 2))
        return nn.Dense(10)(x.reshape(x.shape[0], -1))


def main():
    """Print milliseconds per step of both, their ratio and how far their losses differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=5, help="trip count of the scan")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"backend {jax.default_backend()}, {jax.local_device_count()} device(s), jax {jax.__version__}")
    print(f"{'network':16}{'gdlab ms':>10}{'flax ms':>10}{'ratio':>8}{'loss difference':>18}")
    for name, widths in WIDTHS.items():
        runs = [_training(Network(widths, ours), options.batch, options.steps) for ours in (True, False)]
        losses = [np.asarray(run()) for run in runs]
        ours, flax = least_seconds(runs, options.rounds)
        ratio, difference = flax / ours, np.abs(losses[0] - losses[1]).max()
        per_step = 1e3 / options.steps
        print(f"{name:16}{ours * per_step:10.2f}{flax * per_step:10.2f}{ratio:8.1f}{difference:18.1e}")


def _training(network, batch, steps):
    """A function without arguments that performs `steps` Adam steps and returns their losses."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((batch, 32, 32, 1)), jnp.float32)
    y = jnp.asarray(rng.integers(0, 10, batch))
    optimizer = optax.adam(1e-3)
    params = jax.jit(network.init)(jax.random.key(0), x)

    def loss(params):
        return optax.softmax_cross_entropy_with_integer_labels(network.apply(params, x), y).mean()

    def step(carry, _):
        params, state = carry
        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), value

    train = jax.jit(lambda carry: jax.lax.scan(step, carry, length=steps)[1])
    return lambda: jax.block_until_ready(train((params, optimizer.init(params))))


if __name__ == "__main__":
    main()
