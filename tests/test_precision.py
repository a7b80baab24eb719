"""The precision of a run is its own: whoever trains or replays one keeps theirs, in every thread."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gdlab
from tests.composing import composed
from tests.recording import assert_same_record

RUNS = {
    name: ("experiment=rosenbrock", "train.steps=12", f"precision={name}") for name in ("float32", "float64")
}


def untouched():
    """Whether JAX is as it was for who calls gdlab, in this thread and in a new one."""
    found = [jnp.ones(2).dtype]
    thread = threading.Thread(target=lambda: found.append(jnp.ones(2).dtype))
    thread.start()
    thread.join()
    return found == [jnp.float32] * 2 and not jax.config.jax_enable_x64


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{precision: Run}, each alone."""
    root = tmp_path_factory.mktemp("alone")
    return {name: gdlab.run(composed(*RUNS[name]), root / name, progress=False) for name in RUNS}


def test_training_leaves_the_callers_precision(runs, tmp_path):
    assert untouched()
    rate = [f"optimizer.learning_rate={rate}" for rate in (0.1, 0.2)]
    configs = [composed("experiment=digits_sgd", "train.steps=3", "precision=float64", one) for one in rate]
    assert [
        outcome.state
        for outcome in gdlab.train_many(configs, [tmp_path / "a", tmp_path / "b"], progress=False)
    ]
    assert untouched()


def test_a_replay_is_in_its_own_precision_between_whose_steps_the_caller_has_theirs(runs):
    for name, run in runs.items():
        replay = gdlab.Replay(run.path)
        for step in replay.steps(0, 4):
            assert untouched()
            assert {leaf.dtype.name for leaf in jax.tree.leaves(step.params)} == {name}
        assert {leaf.dtype.name for leaf in jax.tree.leaves(replay.params(9))} == {name}
        assert replay.report().different == 0 and untouched()


def test_an_error_leaves_it_too(tmp_path):
    config = composed("experiment=rosenbrock", "precision=float64")
    config["problem"]["start"] = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="start"):
        gdlab.run(config, tmp_path / "run", progress=False)
    assert untouched()


def test_both_at_once_in_threads_are_as_each_alone(runs, tmp_path):
    threads = [
        threading.Thread(
            target=gdlab.run,
            args=(composed(*RUNS[name]), tmp_path / f"{name}{number}"),
            kwargs={"progress": False},
        )
        for number in range(2)
        for name in RUNS
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert untouched()
    for name, alone in runs.items():
        for number in range(2):
            assert_same_record(tmp_path / f"{name}{number}", alone.path)


def test_in_a_notebook_a_checkpoint_is_read_in_its_own_precision(runs):
    async def cell():
        return gdlab.Replay(runs["float64"].path).params(12)

    with ThreadPoolExecutor(1) as pool:  # this thread may have a loop of its own, a browser's
        with_loop = pool.submit(lambda: asyncio.run(cell())).result()
    assert {leaf.dtype.name for leaf in jax.tree.leaves(with_loop)} == {"float64"}
    np.testing.assert_array_equal(
        jax.tree.leaves(with_loop)[0], jax.tree.leaves(gdlab.Replay(runs["float64"].path).params(12))[0]
    )
