"""A recorded loop that is run again: what its step does not say is found by what was kept, and nothing is
said to be the same that was not compared."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdlab
from gdlab.execution import difference
from gdlab.execution.opening import open_replay

X = np.linspace(-1, 1, 8).astype(np.float32)
RATE = [0.1]  # which the loop changes, and its step does not take


def batch_of(k):
    """Of iteration k."""
    return {"x": jnp.asarray(X) * (1 + k), "y": 3 * jnp.asarray(X)}


def loss_fn(params, batch):
    """Of a line."""
    return jnp.mean((params["w"] * batch["x"] - batch["y"]) ** 2) * 0.01


def step(params, batch):
    """Plain descent; pure as long as RATE stays."""
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates = jax.tree.map(lambda g: -RATE[0] * g, grads)
    seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates)
    return optax.apply_updates(params, updates), seen


def giving(what):
    """The step, with `what` of the Observation in its place."""

    def given(params, batch):
        params, seen = step(params, batch)
        return params, what(seen)

    return given


STEPS = {
    "plain": step,
    "numbers": giving(lambda seen: {"loss": seen.values[0]}),
    "behind": giving(lambda seen: {"a": jnp.zeros(seen.values.shape), "o": seen}),
    "none": giving(lambda seen: None),
}


def record(path, form, *, pure=True, stop=40, write=lambda k: True, **options):
    """[theta_k] of a loop."""
    options = {"loss": loss_fn, "step": STEPS[form], "batch": batch_of, **options}
    params = {"w": jnp.zeros(())}
    thetas = [0.0]
    compiled = jax.jit(STEPS[form])
    with gdlab.Recorder(path, strict=True, **options) as recorder:
        recorder.start(params, state=params)
        for k in range(stop):
            RATE[0] = 0.1 if pure else 0.1 / (1 + k)
            params, seen = (compiled if pure else STEPS[form])(params, batch_of(k))
            seen = seen["o"] if form == "behind" else seen
            if write(k):
                recorder.write(
                    k, seen, params=params, state=params, **({"loss": 1.0} if seen is None else {})
                )
            thetas.append(float(params["w"]))
    RATE[0] = 0.1
    return thetas


@pytest.mark.parametrize("form", list(STEPS))
def test_a_step_that_is_not_pure_is_found_whatever_it_gives(tmp_path, form):
    record(tmp_path / "r", form, pure=False)
    replay = open_replay(tmp_path / "r")
    list(replay.steps(10, 20))
    report = replay.report()
    assert report.replayed == report.compared > 0 and report.different > 5 and report.largest > 1e-3


@pytest.mark.parametrize("form", list(STEPS))
def test_a_pure_step_is_the_same_whatever_it_gives(tmp_path, form):
    thetas = record(tmp_path / "r", form)
    replay = open_replay(tmp_path / "r")
    found = {one.iteration: float(one.params["w"]) for one in replay.steps(10, 20)}
    assert found == {k: thetas[k] for k in range(10, 20)}
    report = replay.report()
    assert report.compared == report.replayed >= 10 and (report.different, report.largest) == (0, 0.0)


def test_nothing_compared_is_said(tmp_path):
    record(tmp_path / "r", "none", moments=0)
    for point in (tmp_path / "r" / "points").iterdir():
        point.unlink()
    replay = open_replay(tmp_path / "r")
    list(replay.steps(1, 10))
    attrs = {"replay": replay.report()._asdict()}
    assert (attrs["replay"]["compared"], attrs["replay"]["replayed"]) == (0, 10)
    assert difference.remarks(attrs).startswith("Nothing of the replay could be compared")
    assert difference.said(attrs) == ""
    assert open_replay(tmp_path / "r").report().replayed == 10  # who reads it later is told, too


def test_iterations_that_were_left_out_are_never_run_as_if_there_were_none(tmp_path):
    thetas = record(tmp_path / "r", "plain", write=lambda k: k % 3 == 0, stop=60)
    replay = open_replay(tmp_path / "r")
    reached = 0
    for row in range(20):
        number = replay.number(row)
        try:
            steps = {one.iteration: float(one.params["w"]) for one in replay.steps(row, row + 1)}
            assert steps in ({}, {row: thetas[number]})
            assert float(replay.params(row)["w"]) == thetas[number]
            reached += 1
        except ValueError as error:
            assert "left out" in str(error)
    assert reached and set(replay.handed.known.tolist()) <= set(range(21))
    assert replay.handed.nearest(7) in replay.handed.known
    assert replay.report().different == 0
    # The path goes through what was kept between, after so many recorded iterations.
    assert {k: float(replay.passed(k)["w"]) for k in (1, 5)} == {1: thetas[1], 5: thetas[13]}


def test_a_gap_is_not_stepped_over_and_a_state_behind_it_is_taken(tmp_path):
    thetas = record(tmp_path / "r", "plain", write=lambda k: k not in (20, 21, 22), stop=60)
    replay = open_replay(tmp_path / "r")
    assert min(k for k in replay.handed.states if k > 20) < 40
    reached = [row for row in range(57) if _right(replay, row, thetas)]
    assert {*range(20), *range(40, 57)} <= set(reached)
    with pytest.raises(ValueError, match="left out"):
        list(replay._stepping.steps(18, 22))


def _right(replay, row, thetas):
    """Whether the parameters can be had, and then they are those of the iteration."""
    try:
        return float(replay.params(row)["w"]) == thetas[replay.number(row)] or pytest.fail(str(row))
    except ValueError:
        return False
