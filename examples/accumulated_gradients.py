"""Gradients of several mini-batches are added up before a step, and buffers are donated to the next one."""

from functools import partial

import jax
import optax

import gdlab
from examples.digits import batches, options
from examples.plain_jax import init, loss_fn

EVERY = 4  # mini-batches a step
TX = optax.MultiSteps(gdlab.watch(optax.inject_hyperparams(optax.adam)(learning_rate=3e-3)), EVERY)


@partial(jax.jit, donate_argnums=(0, 1))
def train_step(params, opt_state, batch):
    """One mini-batch; every fourth moves the parameters."""
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, opt_state = TX.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss


def main(folder, steps):
    """Train and record every step of the parameters."""
    params = init(jax.random.key(0))
    opt_state, losses = TX.init(params), []
    config = {"optimizer": "adam", "learning_rate": 3e-3, "batches_a_step": EVERY}
    with gdlab.Recorder(folder, config=config) as recorder:
        for count, batch in enumerate(batches(EVERY * steps, size=16), 1):
            params, opt_state, loss = train_step(params, opt_state, batch)
            losses.append(loss)
            if count % EVERY == 0:
                recorder.write(count // EVERY - 1, opt_state, loss=sum(losses) / EVERY)
                losses.clear()


if __name__ == "__main__":
    main(**options("accumulated_gradients"))
