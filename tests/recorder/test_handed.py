"""A loop of somebody's own, looked at by what it handed over: probes find what the live functions say."""

import json
import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import gdlab
from gdlab import store
from gdlab.analysis import handed
from gdlab.execution.opening import open_replay
from gdlab.recorder.recorder import RecordingWarning
from gdlab.store import kept

TX = optax.adam(0.05)
X = np.asarray(jax.random.normal(jax.random.key(0), (60, 5)), np.float32)
Y = np.asarray(X[:, :3].argmax(axis=1), np.int32)
EXAMPLES = {"train": {"x": X[:40], "y": Y[:40]}, "test": {"x": X[40:], "y": Y[40:]}}
STEPS = 40


def start():
    """Two layers."""
    keys = jax.random.split(jax.random.key(1))
    return {
        "first": {"kernel": jax.random.normal(keys[0], (5, 8)), "bias": jnp.zeros(8)},
        "second": {"kernel": jax.random.normal(keys[1], (8, 3)), "bias": jnp.zeros(3)},
    }


def activations(params, x):
    """Of both layers."""
    first = x @ params["first"]["kernel"] + params["first"]["bias"][None]
    second = jnp.tanh(first) @ params["second"]["kernel"] + params["second"]["bias"][None]
    return {"first": first, "second": second}


def predict(params, x):
    """Logits."""
    return activations(params, x)["second"]


def loss_fn(params, batch):
    """The mean cross-entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(predict(params, batch["x"]), batch["y"]).mean()


def batch_of(k):
    """Of iteration k."""
    rows = jax.random.randint(jax.random.fold_in(jax.random.key(2), k), (8,), 0, 40)
    return {"x": jnp.asarray(X)[rows], "y": jnp.asarray(Y)[rows]}


def train_step(state, batch):
    """A pure step."""
    params, opt_state = state
    loss, grads = jax.value_and_grad(loss_fn)(params, batch)
    updates, opt_state = TX.update(grads, opt_state, params)
    seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates, opt_state=opt_state)
    return (optax.apply_updates(params, updates), opt_state), seen


FUNCTIONS = {"loss": loss_fn, "predict": predict, "activations": activations, "examples": EXAMPLES}
EXACT = {"step": train_step, "batch": batch_of}


def train(path, *, scan=1, donate=True, **options):
    """Trains; returns [theta_k] of all k."""
    state = start(), TX.init(start())
    donating = {"donate_argnums": 0} if donate else {}
    one = jax.jit(train_step, **donating)
    chunk = jax.jit(lambda state, batches: jax.lax.scan(train_step, state, batches), **donating)
    path_of = [jax.device_get(state[0])]
    with gdlab.Recorder(path, strict=True, **{**FUNCTIONS, **options}) as recorder:
        recorder.start(state[0], state=state)
        for k in range(0, STEPS, scan):
            batches = [batch_of(k + i) for i in range(scan)]
            if scan == 1:
                state, seen = one(state, batches[0])
            else:
                state, seen = chunk(state, jax.tree.map(lambda *parts: jnp.stack(parts), *batches))
            recorder.write(k, seen, params=state[0], batch=batches[0] if scan == 1 else None, state=state)
            path_of.append(jax.tree.map(np.array, state[0]))
    return path_of


def same(one, other):
    """Whether two pytrees are equal to the last bit."""
    return all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """(path, [theta_k]) of a loop that handed over its step, with few points and states."""
    path = tmp_path_factory.mktemp("exact") / "run"
    with jax.numpy_rank_promotion("allow"):
        return path, train(path, **EXACT, budget="90 kB")


def test_a_foreign_loop_is_run_again_bit_by_bit(exact):
    path, thetas = exact
    replay = open_replay(path)
    there = replay.handed
    assert there.exact and len(there.points) < STEPS / 2
    for step in replay.steps(3, STEPS):
        assert same(step.params, thetas[step.iteration])
    for k in (0, 1, 17, STEPS):
        assert same(replay.params(k), thetas[k])
    report = replay.report()
    assert (report.compared, report.different, report.largest) == (STEPS, 0, 0.0)


def test_with_batches_that_were_kept_these_iterations_are_run_again(tmp_path):
    thetas = train(tmp_path / "r", step=train_step, moments=range(10, 30), budget="1 MB")
    replay = open_replay(tmp_path / "r")
    for name in replay.handed.points.values():  # what is left to go by is the state of iteration 16
        os.unlink(tmp_path / "r" / kept.POINTS / str(name))
    replay = open_replay(tmp_path / "r")
    assert min(set(replay.handed.states) - {0}) == 16 and not replay.handed.exact
    found = list(replay.steps(18, 30))
    assert [step.iteration for step in found] == list(range(18, 30))
    for step in found:
        assert same(step.params, thetas[step.iteration])
    assert replay.report()[:3] == (30 - 16, 0, 0.0)
    with pytest.raises(ValueError, match="those near it that were: "):
        replay.params(5)
    assert [step.iteration for step in replay.steps(5, 14)] == [10, 11, 12, 13]  # the moments alone


def test_a_batch_that_the_step_does_not_take_is_damage(tmp_path):
    train(tmp_path / "r", step=train_step, moments=range(16, 20), budget="1 MB")
    there = kept.read(tmp_path / "r", kept.MOMENTS, 17)
    trees = {
        **there.trees,
        "batch": [leaf._replace(array=leaf.array[..., :1]) for leaf in there.trees["batch"]],
    }
    os.unlink(tmp_path / "r" / kept.MOMENTS / "17")
    kept.write(tmp_path / "r", kept.MOMENTS, 17, trees, there.facts)
    with pytest.raises(store.DamagedRun, match="its batch is not what the step of the run takes"):
        list(open_replay(tmp_path / "r").steps(16, 20))


def test_gradients_that_are_accumulated_in_the_step_are_run_again(tmp_path):
    tx = optax.MultiSteps(TX, 3)

    def accumulating(state, batch):
        params, opt_state = state
        loss, grads = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = tx.update(grads, opt_state, params)
        seen = gdlab.observe(loss=loss, params=params, grads=grads, updates=updates, opt_state=opt_state)
        return (optax.apply_updates(params, updates), opt_state), seen

    state, step = (start(), tx.init(start())), jax.jit(accumulating, donate_argnums=0)
    given = {"step": accumulating, "batch": batch_of}
    with gdlab.Recorder(tmp_path / "r", strict=True, **FUNCTIONS, **given) as recorder:
        recorder.start(state[0], state=state)
        for k in range(24):
            state, seen = step(state, batch_of(k))
            recorder.write(k, seen, params=state[0], batch=batch_of(k), state=state)
    replay = open_replay(tmp_path / "r")
    moved = [max(map(np.max, map(np.abs, jax.tree.leaves(step.updates)))) > 0 for step in replay.steps(0, 24)]
    assert moved == [False, False, True] * 8
    assert replay.report()[:3] == (24, 0, 0.0)


@pytest.mark.parametrize("donate", [True, False])
def test_a_scan_is_run_again_as_a_scan(tmp_path, donate):
    thetas = train(tmp_path / "r", scan=8, donate=donate, **EXACT)
    replay = open_replay(tmp_path / "r")
    assert replay.run.identity["form"]["scan"] == 8
    assert replay.run.identity["form"]["donated"] is donate
    found = list(replay.steps(0, STEPS))
    assert [step.iteration for step in found] == list(range(STEPS))
    for index, theta in enumerate(thetas[:-1]):
        assert same(found[8 * index].params, theta)
    assert replay.report()[:3] == (STEPS, 0, 0.0)


def test_what_differs_is_said_with_its_size(tmp_path):
    wrong = {**EXACT, "batch": lambda k: batch_of(k + jnp.where(k == 5, 1, 0))}
    train(tmp_path / "r", **wrong)
    replay = open_replay(tmp_path / "r")
    list(replay.steps(0, STEPS))
    report = replay.report()
    assert report.compared == STEPS and 0 < report.different <= STEPS - 5
    assert report.largest > 1e-3


def test_moments_alone_give_their_segments_and_no_others(tmp_path):
    thetas = train(tmp_path / "r", moments=[2, 3, 30])
    table = gdlab.run_probe(tmp_path / "r", "segments", {"start": 0, "stop": STEPS})
    value, offset = table.columns["value"], table.columns["offset"]
    assert np.flatnonzero(np.isfinite(value[:, 0])).tolist() == [2, 3, 30]
    assert table.attrs["max_difference"] < 1e-6
    step = jax.tree.map(lambda a, b: b - a, thetas[3], thetas[4])
    for index in (0, 16, 32):
        point = jax.tree.map(lambda a, u: a + np.float32(offset[3, index]) * u, thetas[3], step)  # noqa: B023
        np.testing.assert_allclose(value[3, index], loss_fn(point, batch_of(3)), rtol=1e-5)
    smooth = gdlab.run_probe(tmp_path / "r", "smoothness", {"start": 0, "stop": STEPS})
    assert np.flatnonzero(np.isfinite(smooth.columns["slope"])).tolist() == [2, 3, 30]


def test_a_point_that_is_not_kept_names_those_near_it(tmp_path):
    train(tmp_path / "r", budget="60 kB", moments=0)
    known = handed.of(gdlab.open_run(tmp_path / "r")).known
    lost = next(k for k in range(10, STEPS) if k not in known)
    near = ", ".join(map(str, sorted(sorted(known.tolist(), key=lambda k: (abs(k - lost), k))[:6])))
    with pytest.raises(ValueError, match=f"iteration={lost}: its parameters were not kept; .* were: {near}"):
        gdlab.run_probe(tmp_path / "r", "confusion", {"iteration": lost})


def test_probes_say_what_the_live_functions_say(exact):
    path, thetas = exact
    confusion = gdlab.run_probe(path, "confusion", {"iteration": STEPS})
    logits = predict(thetas[STEPS], EXAMPLES["test"]["x"])
    expected = np.zeros((3, 3), int)
    np.add.at(expected, (EXAMPLES["test"]["y"], np.asarray(logits.argmax(axis=1))), 1)
    np.testing.assert_array_equal(confusion.columns["confusion"], expected)
    assert confusion.columns["classes"].tolist() == ["0", "1", "2"]
    filters = gdlab.run_probe(path, "filters", {"iteration": 10})
    np.testing.assert_array_equal(filters.columns["first"], thetas[10]["first"]["kernel"])
    line = gdlab.run_probe(path, "interpolation", {"points": 3, "layers": "whole"})
    middle = jax.tree.map(lambda a, b: (a + b) / 2, thetas[0], thetas[STEPS])
    np.testing.assert_allclose(line.columns["loss"][0, 1], loss_fn(middle, EXAMPLES["train"]), rtol=1e-5)
    surface = gdlab.run_probe(path, "surface", {"resolution": 3})
    assert np.isfinite(surface.columns["value"]).all()
    found = gdlab.run_probe(path, "activations", {"iteration": STEPS})
    assert found.columns["layer"].tolist() == ["first", "second"]
    mean = activations(thetas[STEPS], EXAMPLES["test"]["x"])["first"].mean()
    np.testing.assert_allclose(found.columns["mean"][0], mean, rtol=1e-4)


def test_dumps_hold_what_the_network_answered(tmp_path):
    thetas = train(tmp_path / "r", every=10, classes=["a", "b", "c"])
    run = gdlab.open_run(tmp_path / "r")
    rows = run.array("validation")
    np.testing.assert_array_equal(rows[:, 0], [0, 10, 20, 30])
    for k, loss, accuracy, *_ in rows:
        logits = predict(thetas[int(k)], EXAMPLES["test"]["x"])
        np.testing.assert_allclose(accuracy, np.mean(logits.argmax(axis=1) == EXAMPLES["test"]["y"]))
        np.testing.assert_allclose(loss, loss_fn(thetas[int(k)], EXAMPLES["test"]), rtol=1e-5)
    assert run.identity["classes"] == ["a", "b", "c"]
    assert [node["name"] for node in run.identity["network"]["nodes"]] == ["first", "second"]
    norm = run.array("dump/layer/update_norm")[1, 0]
    moved = np.linalg.norm(thetas[11]["first"]["kernel"] - thetas[10]["first"]["kernel"])
    np.testing.assert_allclose(norm, moved, rtol=1e-4)
    gradient = jax.grad(loss_fn)(thetas[10], batch_of(10))["first"]["kernel"]
    np.testing.assert_allclose(run.array("dump/layer/gradient_mean")[1, 0], gradient.mean(), rtol=1e-3)


def test_a_loss_that_cannot_be_carried_is_said_and_the_rest_is_recorded(tmp_path):
    def loss(params, batch):
        return jax.pure_callback(np.sum, jax.ShapeDtypeStruct((), jnp.float32), params["w"])

    with pytest.warns(RecordingWarning, match="loss is not carried: .*callback"):
        recorder = gdlab.Recorder(tmp_path / "r", loss=loss)
        for k in range(10):
            recorder.write(k, params={"w": jnp.ones(3)}, batch={"x": jnp.ones(2)}, loss=1.0)
        recorder.close()
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 10
    assert len(kept.names(tmp_path / "r", kept.POINTS)) == 10
    assert "loss" not in handed.of(gdlab.open_run(tmp_path / "r")).functions


def test_functions_that_fail_end_the_dumps_and_not_the_record(tmp_path):
    def wrong(params, x):
        return jnp.zeros((x.shape[0], 7))

    with pytest.warns(RecordingWarning, match="no more dumps: that of iteration 5"):
        recorder = gdlab.Recorder(
            tmp_path / "r", predict=wrong, examples=EXAMPLES, classes=["a", "b", "c"], every=5
        )
        for k in range(10):
            recorder.write(k, params=start(), loss=1.0)
        recorder.close()
        recorder._tell(recorder._pen)
    assert gdlab.open_run(tmp_path / "r").rows("scalars") == 10


class Normalised(nnx.Module):
    """A layer, a batch normalisation, a dropout and a layer."""

    def __init__(self, rngs):
        self.first, self.norm = nnx.Linear(5, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs)
        self.drop, self.second = nnx.Dropout(0.3, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(self.drop(nnx.relu(self.norm(self.first(x)))))


def test_what_a_loss_takes_besides_is_handed_over_as_aux(tmp_path):
    model = Normalised(nnx.Rngs(0))
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def nnx_loss(params, batch, rest):
        made = nnx.merge(graph, params, rest, copy=True)
        made.train()
        logits = made(batch["x"])
        error = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"]).mean()
        return error, nnx.state(made, nnx.Not(nnx.Param))

    def nnx_predict(params, x, rest):
        made = nnx.merge(graph, params, rest, copy=True)
        made.eval()
        return made(x)

    @jax.jit
    def step(params, rest, batch):
        (error, rest), grads = jax.value_and_grad(nnx_loss, has_aux=True)(params, batch, rest)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), rest, error

    with jax.numpy_rank_promotion("allow"):
        with gdlab.Recorder(
            tmp_path / "r", strict=True, loss=nnx_loss, predict=nnx_predict, examples=EXAMPLES,
            activations=gdlab.activations_of(model), every=10,
        ) as recorder:  # fmt: skip
            for k in range(30):
                before = rest
                params, rest, error = step(params, rest, batch_of(k))
                recorder.write(k, loss=error, params=params, batch=batch_of(k), aux=before)
        run = gdlab.open_run(tmp_path / "r")
        assert run.array("validation")[:, 0].tolist() == [10, 20]
        found = gdlab.run_probe(tmp_path / "r", "segments", {"start": 1, "stop": 8})
        assert np.isfinite(found.columns["value"][:, 0]).all()
        assert found.attrs["max_difference"] < 1e-5  # with the very masks of the iteration
        table = gdlab.run_probe(tmp_path / "r", "confusion", {"iteration": 30})
        logits = nnx_predict(params, EXAMPLES["test"]["x"], before)
        assert table.attrs["accuracy"] == pytest.approx(
            float(np.mean(logits.argmax(axis=1) == EXAMPLES["test"]["y"]))
        )


def test_a_state_or_a_form_from_elsewhere_is_not_believed(exact, tmp_path):
    import shutil

    path, _ = exact
    for number, forge in enumerate((_other_state, _other_places, _other_form)):
        folder = tmp_path / str(number)
        shutil.copytree(path, folder)
        forge(folder)
        with pytest.raises(store.DamagedRun):
            list(open_replay(folder).steps(0, 5))


def _other_state(folder):
    found = kept.read(folder, kept.STATES, 0)
    leaves = [leaf._replace(array=leaf.array[..., None]) for leaf in found.trees["state"]]
    kept.write(folder, kept.STATES, 0, {"state": leaves}, found.facts)


def _other_places(folder):
    found = kept.read(folder, kept.STATES, 0)
    kept.write(folder, kept.STATES, 0, found.trees, {"params": [10**6]})


def _other_form(folder):
    from gdlab.store.folder import add_to_identity

    add_to_identity(folder, {"form": {"scan": -1, "numbers": json.dumps([1])}})


OPTIONS = {
    "no function": ({"loss": 3}, "loss=3: a function is expected"),
    "no parts": ({"examples": {"x": X, "y": Y}}, 'examples: {"train"'),
    "of other lengths": ({"examples": {"test": {"x": X, "y": Y[:3]}}}, "one common first axis"),
    "dumps of nothing": ({"every": 10}, "every= takes dumps, which need predict="),
    "no interval": ({"every": 0, "predict": predict, "examples": EXAMPLES}, "every=0"),
    "one class": ({"classes": ["a"]}, "two or more different names"),
    "no budget": ({"budget": "much"}, "budget='much'"),
    "no moments": ({"moments": "all"}, "moments='all'"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_what_cannot_be_handed_over_is_said_before_the_training(tmp_path, name):
    options, message = OPTIONS[name]
    with pytest.raises(ValueError, match=message.replace("{", r"\{")):
        gdlab.Recorder(tmp_path / "r", **options)
    assert not (tmp_path / "r").exists()


def test_activations_of_names_the_layers_of_both_kinds_of_flax_modules():
    import flax.linen as nn

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            x = nn.Dropout(0.5, deterministic=not train)(nn.Dense(4, name="first")(x))
            return nn.Dense(3, name="second")(nn.BatchNorm(use_running_average=not train, name="norm")(x))

    with jax.numpy_rank_promotion("allow"):
        variables = Net().init(jax.random.key(0), X)
        found = gdlab.activations_of(Net())(variables["params"], X, {"batch_stats": variables["batch_stats"]})
        assert {name: array.shape for name, array in found.items()} == {
            "first": (60, 4), "norm": (60, 4), "second": (60, 3)
        }  # fmt: skip
        model = Normalised(nnx.Rngs(0))
        found = jax.jit(gdlab.activations_of(model))(nnx.state(model, nnx.Param), X)
        assert {name: array.shape for name, array in found.items()} == {
            "first": (60, 8), "norm": (60, 8), "second": (60, 3)
        }  # fmt: skip
    with pytest.raises(TypeError, match=r"flax\.linen or flax\.nnx is expected, not a partial"):
        gdlab.activations_of(partial(print))
