"""Steps, batches, keys, layouts; and what cannot be exported, which is said and never raised."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gdlab import store
from gdlab.data.dataset import Dataset
from gdlab.execution.carrying import losses_of
from gdlab.execution.handed_problem import joined
from gdlab.exported import open_functions, write_functions
from gdlab.exported.writing import write
from gdlab.models.images_last import images_last, to_images_last
from gdlab.models.lenet import modified_lenet
from gdlab.probes.vectors.losses import Losses
from gdlab.problems import classification
from gdlab.store.kept import Leaf
from tests.exported.models import images

PARAMS = {"w": jnp.linspace(-1, 1, 3), "b": jnp.zeros(())}
BATCH = {"x": jnp.arange(12.0).reshape(4, 3) / 10, "y": jnp.ones(4)}


def loss(params, batch):
    return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)


def test_a_training_of_steps_and_batches_of_its_own_to_the_same_bits(tmp_path):
    """Adam with noise on the data: the state holds a random key and the optimizer's counters."""
    tx = optax.adam(0.1)

    def make_batch(iteration):
        return {**BATCH, "x": BATCH["x"] * (1 + iteration / 10)}

    def step(state, batch):
        params, opt_state, key = state
        key, now = jax.random.split(key)
        noisy = {**batch, "x": batch["x"] + 0.1 * jax.random.normal(now, batch["x"].shape)}
        value, grads = jax.value_and_grad(loss)(params, noisy)
        updates, opt_state = tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, key), {"loss": value}

    state = PARAMS, tx.init(PARAMS), jax.random.key(3)
    notes = write_functions(tmp_path, state=state, batch=BATCH, step=step, make_batch=make_batch)
    assert notes == []
    functions = open_functions(tmp_path)
    assert functions.names == ("step", "make_batch")
    live, carried, made = jax.jit(step), jax.jit(functions.step), jax.jit(functions.make_batch)
    leaves = [leaf if n < 7 else jax.random.key_data(leaf) for n, leaf in enumerate(jax.tree.leaves(state))]
    for iteration in range(6):
        state, seen = live(state, jax.jit(make_batch)(jnp.int32(iteration)))
        leaves, (value,) = carried(leaves, made(iteration))
        assert float(seen["loss"]) == float(value)
    for one, other in zip(jax.tree.leaves(state)[:7], leaves[:7], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(jax.random.key_data(state[2]), leaves[7])
    tree = functions.to_tree(leaves, "state")
    assert set(tree) == {"0", "1", "2"} and set(tree["1"]["0"]) == {"count", "mu", "nu"}


def test_what_a_loss_needs_besides_may_come_with_the_batch(tmp_path):
    def scaled(params, batch, aux):
        return aux["scale"] * loss(params, batch)

    aux = {"scale": jnp.float32(2.0)}
    assert write_functions(tmp_path, params=PARAMS, batch=BATCH, aux=aux, loss=scaled) == []
    functions = open_functions(tmp_path)
    once = float(loss(PARAMS, BATCH))
    assert float(functions.problem(aux).loss(PARAMS, BATCH)) == pytest.approx(2 * once)
    with_it = {**BATCH, "aux": {"scale": jnp.float32(3.0)}}
    assert float(functions.problem(aux).loss(PARAMS, with_it)) == pytest.approx(3 * once)
    with pytest.raises(ValueError, match=r"loss needs aux: scale float32\[\]"):
        functions.problem().loss(PARAMS, BATCH)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda p, b: jax.pure_callback(np.float32, jnp.float32(0), p["b"]), "pure_callback"),
        (lambda p, b: jax.debug.print("{}", p["b"]) or loss(p, b), "debug"),
        (lambda p, b: jnp.linalg.eigh(b["x"].T @ b["x"])[0].sum(), "it calls eigh, which is not allowed"),
        (lambda p, b: b["x"] @ p["w"], "a scalar"),
        (lambda p, b: loss(p, b) + p["missing"], "missing"),
        (lambda p: 0.0, "takes 1 positional argument"),
        (lambda p, b: float(p["b"]), "concrete"),
    ],
)
def test_a_loss_that_cannot_be_exported_is_a_sentence_that_says_which_operation(tmp_path, function, words):
    (note,) = write_functions(tmp_path, params=PARAMS, batch=BATCH, loss=function)
    assert note.startswith("loss is not carried: ") and words in note.lower()
    functions = open_functions(tmp_path)
    assert functions.names == () and functions.notes == (note,)
    with pytest.raises(store.NoFunctions, match="loss is not carried"):
        functions.problem()


def test_a_loss_of_one_length_alone_says_so_and_is_carried(tmp_path):
    def folded(params, batch):
        return loss(params, {name: array[: int(array.shape[0])] for name, array in batch.items()})

    (note,) = write_functions(tmp_path, params=PARAMS, batch=BATCH, loss=folded)
    assert note.startswith(
        "loss is carried for batches of 4 alone: it needs the number of examples as a constant"
    )
    problem = open_functions(tmp_path).problem()
    assert float(problem.loss(PARAMS, BATCH)) == pytest.approx(float(loss(PARAMS, BATCH)))
    with pytest.raises(ValueError, match=r"x is float32\[3, 3\], x float32\[4, 3\] is needed"):
        problem.loss(PARAMS, {name: array[:3] for name, array in BATCH.items()})


def test_a_loss_without_a_forward_mode_has_second_derivatives_by_reverse(tmp_path):
    @jax.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, g: (2 * x * g,))
    notes = write_functions(tmp_path, params=PARAMS, batch=BATCH, loss=lambda p, b: square(p["w"]).sum())
    assert notes == []
    problem = open_functions(tmp_path).problem()
    gradient = jax.grad(lambda p: problem.loss(p, BATCH))
    _, product = jax.jvp(gradient, (PARAMS,), (PARAMS,))
    np.testing.assert_allclose(product["w"], 2 * PARAMS["w"])


def test_what_is_no_array_is_named(tmp_path):
    (note,) = write_functions(tmp_path, params={"w": jnp.ones(3), "f": jnp.tanh}, batch=BATCH, loss=loss)
    assert "params: f is a " in note and "eqx.partition" in note


def test_third_derivatives_and_those_of_data_are_refused_in_words(tmp_path):
    write_functions(tmp_path, params=PARAMS, batch=BATCH, loss=loss)
    problem = open_functions(tmp_path).problem()
    with pytest.raises(store.NoFunctions, match="with respect to the parameters alone"):
        jax.grad(lambda x: problem.loss(PARAMS, {**BATCH, "x": x}))(BATCH["x"])
    bend = lambda w: jax.hessian(lambda v: problem.loss({**PARAMS, "w": v}, BATCH))(w).sum()  # noqa: E731
    with pytest.raises(store.NoFunctions, match="not the third"):
        jax.grad(bend)(PARAMS["w"])


def test_names_that_read_alike_stay_apart(tmp_path):
    params = [jnp.float32(2.0), {"0": jnp.float32(5.0)}]
    assert write_functions(tmp_path, params=params, batch=BATCH, loss=lambda p, b: p[0] + p[1]["0"]) == []
    functions = open_functions(tmp_path)
    tree = functions.to_tree(jax.tree.leaves(params))
    assert float(functions.problem().loss(tree, BATCH)) == 7.0
    with pytest.raises(ValueError, match=r"params: there is no 1/0; at 1 is 5"):
        functions.to_leaves({"0": 2.0, "1": {"5": 5.0}})


def test_names_with_slashes_stay_apart(tmp_path):
    """("a", "b") and ("a/b",) are two places, in parameters, batches and layers."""

    def mixed(params, batch):
        sums = [jnp.sum(batch[n]) for n in ("a/b", "c")] + [jnp.sum(batch["a"]["b"])]
        return params["a"]["b"] * sums[2] + 100 * params["a/b"] * sums[0] + 0 * sums[1]

    def layers(params, x):
        return {"a": {"b": x * 2}, "a/b": x}

    params = {"a/b": jnp.float32(1), "a": {"b": jnp.float32(2)}}
    batch = {"a/b": jnp.ones(4), "a": {"b": 2 * jnp.ones(4)}, "c": jnp.ones(4)}
    more = {"x": jnp.ones((4, 1)), "activations": layers}
    assert write_functions(tmp_path, params=params, batch=batch, loss=mixed, **more) == []
    functions = open_functions(tmp_path)
    problem, true = functions.problem(), float(mixed(params, batch))
    leaves = [
        Leaf(path.path, a) for path, a in zip(functions.trees["batch"], jax.tree.leaves(batch), strict=True)
    ]
    flat = joined(leaves)
    assert len(flat) == 3 and all("/" in name or name == "c" for name in flat)
    assert float(problem.loss(params, batch)) == float(problem.loss(params, flat)) == true
    assert [float(a.sum()) for a in problem.activations(params, more["x"]).values()] == [8.0, 4.0]
    assert functions.to_leaves({"a/b": 5.0, "a": {"b": 3.0}}) == [3.0, 5.0]
    with pytest.raises(ValueError, match=r"params: \['a/b'\] may be both \['a', 'b'\] and \['a/b'\]"):
        functions.to_leaves({"a/b": 5.0})


def test_a_network_in_both_layouts_has_the_live_surface(tmp_path):
    """Of a small LeNet, whose loss many values are taken of in the layout with images last."""
    train = {name: np.array(array) for name, array in images(70).items()}
    train["x"] = np.pad(train["x"], ((0, 0), (1, 1), (1, 1), (0, 0)))
    data = Dataset("made_up", train, None, tuple("0123456789"))
    problem = classification(model=modified_lenet(filters=(2, 2)), data=data)
    params = problem.init(jax.random.key(0))
    takes = {"params": params, "batch": {name: jnp.asarray(array[:16]) for name, array in train.items()}}
    assert write(tmp_path, losses_of("loss", problem.loss, takes, jax.random.key(0))) == []
    functions = open_functions(tmp_path)
    assert functions.has("loss", "images_last")
    vector, unravel = jax.flatten_util.ravel_pytree(params)
    vectors = np.stack([np.asarray(vector) * scale for scale in (0.5, 1.0, 1.5)])
    layout = images_last, to_images_last
    every = [Losses(p, unravel, train, layout=layout) for p in (problem, functions.problem())]
    live, carried = (losses(vectors)[0] for losses in every)
    assert every[1].context is images_last
    np.testing.assert_array_equal(live, carried)


def test_in_64_bits(tmp_path):
    with jax.enable_x64(True):
        params, batch = (
            jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), tree) for tree in (PARAMS, BATCH)
        )
        assert write_functions(tmp_path, params=params, batch=batch, loss=loss) == []
        functions = open_functions(tmp_path)
        value, gradient = jax.jit(jax.value_and_grad(functions.problem().loss))(params, batch)
        live = jax.jit(jax.value_and_grad(loss))(params, batch)
        assert functions.x64 and value.dtype == jnp.float64
        assert jax.tree.all(jax.tree.map(np.array_equal, (value, gradient), live))
