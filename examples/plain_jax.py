"""Plain JAX and optax: a network as a dict of arrays."""

import jax
import jax.numpy as jnp
import optax

import gdlab
from examples.digits import batches, options, test_set

TX = optax.adam(1e-3)


def init(key):
    """A network of two layers."""
    first, second = jax.random.split(key)
    return {
        "hidden": {"kernel": 0.1 * jax.random.normal(first, (64, 32)), "bias": jnp.zeros(32)},
        "output": {"kernel": 0.1 * jax.random.normal(second, (32, 10)), "bias": jnp.zeros(10)},
    }


def logits(params, x):
    """[n, 10] of images [n, 8, 8, 1]."""
    hidden = jnp.tanh(x.reshape(len(x), -1) @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    return hidden @ params["output"]["kernel"] + params["output"]["bias"]


def loss_fn(params, batch):
    """The mean cross-entropy."""
    errors = optax.softmax_cross_entropy_with_integer_labels(logits(params, batch["x"]), batch["y"])
    return errors.mean()


@jax.jit
def train_step(params, opt_state, batch):
    """One iteration."""
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, opt_state = TX.update(grads, opt_state, params)
    seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates, opt_state=opt_state)
    return optax.apply_updates(params, updates), opt_state, seen


@jax.jit
def accuracy(params, batch):
    """The share of images whose class is found."""
    return jnp.mean(logits(params, batch["x"]).argmax(-1) == batch["y"])


def main(folder, steps):
    """Train and record."""
    params, test = init(jax.random.key(0)), test_set()
    opt_state = TX.init(params)
    with gdlab.Recorder(folder, config={"optimizer": "adam", "learning_rate": 1e-3}) as recorder:
        for step, batch in enumerate(batches(steps)):
            params, opt_state, seen = train_step(params, opt_state, batch)
            recorder.write(step, seen)
            if step % 50 == 0:
                recorder.write(step, test_accuracy=accuracy(params, test))


if __name__ == "__main__":
    main(**options("plain_jax"))
