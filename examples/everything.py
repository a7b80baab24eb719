"""Everything handed over: a run that can be looked at from all sides, and be run again bit by bit, without
this file.

Flax Linen, a convolutional network; the state is donated. What the recorder keeps of it has a budget.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

import gdlab
from examples.digits import options, test_set, train_set

TX = optax.adam(3e-3)
BATCH, EVERY = 64, 50


class Network(nn.Module):
    """Two convolutions and a dense layer."""

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3), name="conv1")(x))
        x = nn.relu(nn.Conv(16, (3, 3), strides=2, name="conv2")(x))
        return nn.Dense(10, name="output")(x.reshape(x.shape[0], -1))


NETWORK, TRAIN = Network(), train_set()


def predict(params, x):
    """Logits [n, 10] of images [n, 8, 8, 1]."""
    return NETWORK.apply({"params": params}, x)


def loss_fn(params, batch):
    """The mean cross-entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(predict(params, batch["x"]), batch["y"]).mean()


@jax.jit
def batch_of(iteration):
    """The batch of an iteration, and of it alone: so it can be had again."""
    key = jax.random.fold_in(jax.random.key(1), iteration)
    rows = jax.random.randint(key, (BATCH,), 0, len(TRAIN["y"]))
    return {name: jnp.asarray(array)[rows] for name, array in TRAIN.items()}


def train_step(state, batch):
    """One iteration: a pure function."""
    params, opt_state = state
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, opt_state = TX.update(grads, opt_state, params)
    seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates, opt_state=opt_state)
    return (optax.apply_updates(params, updates), opt_state), seen


def main(folder, steps):
    """Train and record."""
    params = NETWORK.init(jax.random.key(0), TRAIN["x"][:1])["params"]
    state, test = (params, TX.init(params)), test_set()
    step_jit = partial(jax.jit, donate_argnums=0)(train_step)
    recorder = gdlab.Recorder(
        folder,
        config={"optimizer": "adam", "learning_rate": 3e-3},
        loss=loss_fn,
        predict=predict,
        activations=gdlab.activations_of(NETWORK),
        step=train_step,
        batch=batch_of,
        examples={"train": TRAIN, "test": test},
        classes=[str(digit) for digit in range(10)],
        every=EVERY,
        budget="50 MB",
    )
    with recorder:
        recorder.start(params, state=state)
        for step in range(steps):
            batch = batch_of(step)
            state, seen = step_jit(state, batch)
            recorder.write(step, seen, params=state[0], batch=batch, state=state)


if __name__ == "__main__":
    main(**options("everything"))
