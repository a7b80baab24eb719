"""A network spread over devices and processes: kernels by rows, batches by examples.

One process with several devices, as it stands; or several processes, on one machine or on several:

    python -m examples.sharded runs/sharded --processes 2 --process 1 --coordinator HOST:PORT
    python -m examples.sharded runs/sharded --processes 2 --process 0 --coordinator HOST:PORT
"""

import argparse

import jax
import jax.numpy as jnp
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import gdlab
from examples.digits import batches
from examples.plain_jax import init, loss_fn

TX = optax.adam(1e-3)


@jax.jit
def train_step(params, opt_state, batch):
    """One iteration; norms over all devices are taken within the step."""
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, opt_state = TX.update(grads, opt_state, params)
    seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates, opt_state=opt_state)
    return optax.apply_updates(params, updates), opt_state, seen


def main(folder, steps, keep=False):
    """Train on all devices of all processes, and record; keep: hand over the parameters, too."""
    mesh = jax.make_mesh((jax.device_count(),), ("all",), axis_types=(AxisType.Auto,))

    def spread(array):
        rows = len(array) % jax.device_count() == 0 and jnp.ndim(array) > 1
        place = NamedSharding(mesh, PartitionSpec("all") if rows else PartitionSpec())
        return jax.make_array_from_callback(array.shape, place, lambda index: array[index])

    params = jax.tree.map(spread, jax.device_get(init(jax.random.key(0))))
    opt_state = jax.jit(TX.init)(params)
    with gdlab.Recorder(folder, config={"optimizer": "adam", "learning_rate": 1e-3}) as recorder:
        for step, batch in enumerate(batches(steps)):
            params, opt_state, seen = train_step(params, opt_state, jax.tree.map(spread, batch))
            # In every process; the first one writes.
            recorder.write(step, seen, params=params if keep else None)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Trains on handwritten digits over several devices.")
    parser.add_argument("folder", nargs="?", default="runs/sharded", help="the run folder")
    parser.add_argument("--steps", type=int, default=300, help="iterations")
    parser.add_argument("--processes", type=int, default=1, help="how many processes there are")
    parser.add_argument("--process", type=int, default=0, help="which of them this is, from 0 on")
    parser.add_argument("--coordinator", help="HOST:PORT of the first one")
    parser.add_argument("--keep", action="store_true", help="hand over the parameters, too")
    options = parser.parse_args()
    if options.processes > 1:
        jax.distributed.initialize(options.coordinator, options.processes, options.process)
    main(options.folder, options.steps, options.keep)
