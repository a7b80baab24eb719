"""Many iterations in one compiled program: `lax.scan` hands out the rows of a whole chunk at once."""

import jax
import jax.numpy as jnp
import optax

import gdlab
from examples.digits import batches, options
from examples.plain_jax import TX, init, loss_fn

CHUNK = 25


@jax.jit
def train_chunk(params, opt_state, stacked):
    """As many iterations as there are batches."""

    def step(carry, batch):
        params, opt_state = carry
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = TX.update(grads, opt_state, params)
        seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates, opt_state=opt_state)
        return (optax.apply_updates(params, updates), opt_state), seen

    (params, opt_state), seen = jax.lax.scan(step, (params, opt_state), stacked)
    return params, opt_state, seen


def main(folder, steps):
    """Train and record."""
    params = init(jax.random.key(0))
    opt_state, source = TX.init(params), batches(steps)
    with gdlab.Recorder(folder, config={"optimizer": "adam", "learning_rate": 1e-3}) as recorder:
        for first in range(0, steps, CHUNK):
            chunk = [next(source) for _ in range(min(CHUNK, steps - first))]
            stacked = jax.tree.map(lambda *arrays: jnp.stack(arrays), *chunk)
            params, opt_state, seen = train_chunk(params, opt_state, stacked)
            recorder.write(first, seen)


if __name__ == "__main__":
    main(**options("scan_in_jit"))
