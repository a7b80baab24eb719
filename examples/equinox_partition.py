"""Equinox: a module that is partitioned into arrays and everything else."""

import equinox as eqx
import jax
import optax

import gdlab
from examples.digits import batches, options

TX = optax.rmsprop(1e-3, momentum=0.9)


def loss_fn(arrays, rest, batch):
    """The mean cross-entropy."""
    model = eqx.combine(arrays, rest)
    logits = jax.vmap(model)(batch["x"].reshape(len(batch["x"]), -1))
    return optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()


@eqx.filter_jit
def train_step(arrays, rest, opt_state, batch):
    """One iteration."""
    loss, grads = jax.value_and_grad(loss_fn)(arrays, rest, batch)
    updates, opt_state = TX.update(grads, opt_state, arrays)
    seen = gdlab.observe(loss=loss, params=arrays, grads=grads, updates=updates, opt_state=opt_state)
    return eqx.apply_updates(arrays, updates), opt_state, seen


def main(folder, steps):
    """Train and record."""
    model = eqx.nn.MLP(64, 10, width_size=32, depth=2, key=jax.random.key(0))
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)
    opt_state = TX.init(arrays)
    with gdlab.Recorder(folder, config={"optimizer": "rmsprop", "learning_rate": 1e-3}) as recorder:
        for step, batch in enumerate(batches(steps)):
            arrays, opt_state, seen = train_step(arrays, rest, opt_state, batch)
            recorder.write(step, seen)


if __name__ == "__main__":
    main(**options("equinox_partition"))
