"""A loop that logs to a writer of clu's kind: gdlab's stands in for it, or beside it where clu is there."""

import importlib.util

import jax
import jax.numpy as jnp
import optax

import gdlab
from examples.digits import batches, options
from gdlab.interchange import MetricWriter

TX = optax.sgd(0.1, momentum=0.9)


def initial(key):
    """Parameters of two dense layers."""
    hidden, output = jax.random.split(key)
    return {
        "hidden": {"w": jax.random.normal(hidden, (64, 32)) / 8, "b": jnp.zeros(32)},
        "output": {"w": jax.random.normal(output, (32, 10)) / 6, "b": jnp.zeros(10)},
    }


def loss_fn(params, batch):
    """Cross entropy, and the share of images that are told right."""
    x = batch["x"].reshape(len(batch["x"]), -1)
    x = jax.nn.relu(x @ params["hidden"]["w"] + params["hidden"]["b"])
    logits = x @ params["output"]["w"] + params["output"]["b"]
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()
    return loss, jnp.mean(logits.argmax(-1) == batch["y"])


@jax.jit
def train_step(params, opt_state, batch):
    """One iteration."""
    (loss, accuracy), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, batch)
    updates, opt_state = TX.update(grads, opt_state, params)
    scalars = {"train/loss": loss, "train/accuracy": accuracy, "train/grad_norm": optax.tree.norm(grads)}
    return optax.apply_updates(params, updates), opt_state, scalars


def writers(folder):
    """The writer of the loop: gdlab's, and TensorBoard's beside it where clu is there."""
    own = MetricWriter(gdlab.Recorder(folder))
    if importlib.util.find_spec("clu") is None or importlib.util.find_spec("tensorflow") is None:
        return own
    from clu import metric_writers

    return metric_writers.MultiWriter([own, metric_writers.SummaryWriter(f"{folder}-events")])


def main(folder, steps):
    """Train and record."""
    params = initial(jax.random.key(0))
    opt_state = TX.init(params)
    writer = writers(folder)
    writer.write_hparams({"optimizer": "momentum", "learning_rate": 0.1})
    for step, batch in enumerate(batches(steps)):
        params, opt_state, scalars = train_step(params, opt_state, batch)
        writer.write_scalars(step, scalars)
    writer.close()


if __name__ == "__main__":
    main(**options("clu_writer"))
