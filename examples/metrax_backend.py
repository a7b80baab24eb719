"""A loop of Flax nnx whose metrics go to a backend of metrax's kind."""

import optax
from flax import nnx

import gdlab
from examples.digits import batches, options
from gdlab.interchange import LoggingBackend


class Network(nnx.Module):
    """Two dense layers."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(64, 32, rngs=rngs)
        self.output = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        """[n, 10] of images [n, 8, 8, 1]."""
        return self.output(nnx.relu(self.hidden(x.reshape(len(x), -1))))


@nnx.jit
def train_step(network, optimizer, metrics, batch):
    """One iteration."""

    def loss_fn(network):
        logits = network(batch["x"])
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean(), logits

    (loss, logits), grads = nnx.value_and_grad(loss_fn, has_aux=True)(network)
    optimizer.update(network, grads)
    metrics.update(loss=loss, logits=logits, labels=batch["y"])


def main(folder, steps):
    """Train and record."""
    network = Network(nnx.Rngs(0))
    optimizer = nnx.Optimizer(network, optax.adam(3e-3), wrt=nnx.Param)
    metrics = nnx.MultiMetric(loss=nnx.metrics.Average("loss"), accuracy=nnx.metrics.Accuracy())
    backend = LoggingBackend(gdlab.Recorder(folder, config={"optimizer": "adam", "learning_rate": 3e-3}))
    for step, batch in enumerate(batches(steps)):
        train_step(network, optimizer, metrics, batch)
        for name, value in metrics.compute().items():
            backend.log_scalar(f"train/{name}", value, step=step)
        metrics.reset()
    backend.close()


if __name__ == "__main__":
    main(**options("metrax_backend"))
