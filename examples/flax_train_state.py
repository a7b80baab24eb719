"""Flax Linen with a TrainState, which hides the gradients' way: the optimizer looks at itself."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

import gdlab
from examples.digits import batches, options


class Network(nn.Module):
    """Two convolutions and a dense layer."""

    @nn.compact
    def __call__(self, x):
        """[n, 10] of images [n, 8, 8, 1]."""
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        x = nn.relu(nn.Conv(16, (3, 3), strides=2)(x))
        return nn.Dense(10)(x.reshape(len(x), -1))


@jax.jit
def train_step(state, batch):
    """One iteration."""

    def loss_fn(params):
        logits = state.apply_fn({"params": params}, batch["x"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss


def main(folder, steps):
    """Train and record."""
    network = Network()
    params = network.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))["params"]
    tx = gdlab.watch(optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1, momentum=0.9)), clip=1.0)
    state = TrainState.create(apply_fn=network.apply, params=params, tx=tx)
    config = {"optimizer": "momentum", "learning_rate": 0.1, "clip": 1.0}
    with gdlab.Recorder(folder, config=config) as recorder:
        for step, batch in enumerate(batches(steps)):
            state, loss = train_step(state, batch)
            recorder.write(step, state.opt_state, loss=loss)


if __name__ == "__main__":
    main(**options("flax_train_state"))
