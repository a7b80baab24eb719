"""The same training, recorded by gdlab's own loop and by a Recorder that looks at a loop beside it."""

import jax
import numpy as np
import optax
import pytest

import gdlab
from gdlab.execution.replay import Replay
from tests.recording import record

STEPS = 24
OPTIMIZERS = {"digits_sgd": optax.sgd, "digits_adam": optax.adam, "digits_momentum": optax.sgd}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_both_records_hold_the_same_numbers(tmp_path, name):
    own = record(tmp_path / "own", f"experiment={name}", f"train.steps={STEPS}", layers=True)
    replay = Replay(tmp_path / "own")
    options = {key: value for key, value in own.config["optimizer"].items() if key != "_target_"}
    problem, tx = replay.assembly.problem, OPTIMIZERS[name](**options)
    params = problem.init(replay.assembly.key)
    state = tx.init(params)

    @jax.jit
    def step(params, state, batch):
        loss, grads = jax.value_and_grad(problem.loss)(params, batch)
        updates, state = tx.update(grads, state, params)
        seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates, opt_state=state)
        return optax.apply_updates(params, updates), state, seen

    with gdlab.Recorder(tmp_path / "looked", strict=True) as recorder:
        for k in range(STEPS):
            params, state, seen = step(params, state, replay.assembly.batch(k))
            recorder.write(k, seen)
    looked = gdlab.open_run(tmp_path / "looked")
    for column in ("loss", "grad_norm", "update_norm", "slope", "status", "step_size", "step_size_max"):
        one, other = (run.table("steps").columns[column][:STEPS] for run in (own, looked))
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-9, err_msg=column)
    for array in ("layer/update_norm", "layer/param_norm"):
        assert looked.columns(array) == own.columns(array)
        np.testing.assert_allclose(looked.array(array), own.array(array), rtol=1e-5, atol=1e-9, err_msg=array)
