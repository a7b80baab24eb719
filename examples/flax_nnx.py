"""Flax nnx with dropout and batch normalisation, trained by an `nnx.Optimizer`."""

import optax
from flax import nnx

import gdlab
from examples.digits import batches, options


class Network(nnx.Module):
    """A convolution, normalised, and a dense layer behind dropout."""

    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 16, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)
        self.dense = nnx.Linear(16 * 64, 10, rngs=rngs)

    def __call__(self, x):
        """[n, 10] of images [n, 8, 8, 1]."""
        x = nnx.relu(self.norm(self.conv(x)))
        return self.dense(self.dropout(x.reshape(len(x), -1)))


def loss_fn(model, batch):
    """The mean cross-entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(model(batch["x"]), batch["y"]).mean()


@nnx.jit
def train_step(model, optimizer, batch):
    """One iteration."""
    loss, grads = nnx.value_and_grad(loss_fn)(model, batch)
    optimizer.update(model, grads)
    return loss


def main(folder, steps):
    """Train and record."""
    model = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, gdlab.watch(optax.adamw(3e-3)), wrt=nnx.Param)
    with gdlab.Recorder(folder, config={"optimizer": "adamw", "learning_rate": 3e-3}) as recorder:
        for step, batch in enumerate(batches(steps)):
            loss = train_step(model, optimizer, batch)
            recorder.write(step, optimizer.opt_state, loss=loss)


if __name__ == "__main__":
    main(**options("flax_nnx"))
