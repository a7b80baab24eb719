"""The loops in examples/, each as it stands there, for some iterations."""

import importlib

import jax
import numpy as np
import pytest

import gdlab

LOOPS = {
    "plain_jax": ("hidden", "output"),
    "flax_train_state": ("Conv_0", "Conv_1", "Dense_0"),
    "flax_nnx": ("conv", "dense", "norm"),
    "equinox_partition": ("layers/0", "layers/1", "layers/2"),
    "scan_in_jit": ("hidden", "output"),
    "accumulated_gradients": ("hidden", "output"),
}
STEPS = 60


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_recorded_by_its_few_lines(tmp_path, name):
    with jax.numpy_rank_promotion("allow"):  # as everybody has it
        importlib.import_module(f"examples.{name}").main(tmp_path / "r", STEPS)
    run = gdlab.open_run(tmp_path / "r")
    assert (run.state, run.reason, run.rows("scalars")) == ("finished", None, STEPS)
    rows = run.table("steps").columns
    assert rows["loss"][-10:].mean() < 0.7 * rows["loss"][:10].mean()
    for column in ("grad_norm", "update_norm", "slope", "seconds"):
        assert np.all(np.isfinite(rows[column])), column
    assert set(run.columns("layer/update_norm")) == set(LOOPS[name])
    for quantity in ("param_norm", "grad_norm", "update_norm"):
        values = run.array(f"layer/{quantity}")
        assert np.all(np.isfinite(values)), quantity
        if quantity != "param_norm":  # the layers are all of the network
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), rows[quantity], rtol=1e-4)
