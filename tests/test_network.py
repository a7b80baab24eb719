"""Layers, groups and data flow of networks whose graph is known."""

import itertools
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab import models, problems
from gdlab.data import Dataset
from gdlab.monitors.network import describe, kernels
from gdlab.problems import rosenbrock
from gdlab.records import Problem


def _described(model, side=32):
    """describe() of a classification by `model`, and its parameters' shapes."""
    x = np.zeros((4, side, side, 3), np.float32)
    data = Dataset("toy", {"x": x, "y": np.arange(4, dtype=np.int32)}, None, ("a", "b", "c", "d"))
    problem = problems.classification(model=model, data=data)
    template = jax.eval_shape(problem.init, jax.random.key(0))
    return describe(problem, template, x[:1]), template


def _of(predict, params, x=None):
    """Edges of a function given by hand, as pairs of names, and the names in order."""
    x = jnp.ones((2, 3)) if x is None else x
    found = describe(Problem(None, None, predict), params, x)
    names = [node["name"] for node in found["nodes"]]
    return {(names[i], names[j]) for i, j in found["edges"]}, names


def _chain(nodes):
    layers = [i for i, node in enumerate(nodes) if node["kind"] != "group"]
    return [list(pair) for pair in itertools.pairwise(layers)]


def test_mlp():
    found, _ = _described(models.mlp((8, 4)))
    shape = {"parent": -1, "kind": "dense"}
    assert found["nodes"] == [
        {"name": "dense1", "first": 0, "filters": 8, "weights": 32 * 32 * 3, **shape},
        {"name": "dense2", "first": 8, "filters": 4, "weights": 8, **shape},
    ]
    assert found["edges"] == [[0, 1]]


@pytest.mark.parametrize(
    ("model", "names", "filters"),
    [
        (
            models.lenet5(classes=4),
            ["conv1", "conv2", "dense1", "dense2", "dense3"],
            [6, 16, 120, 84, 4],
        ),
        (
            models.vgg(classes=4, batch_norm=True, dropout=0.5),
            ["conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "dense1"],
            [16, 16, 32, 32, 64, 64, 4],
        ),
    ],
    ids=["lenet5", "vgg"],
)
def test_networks_without_groups_are_chains(model, names, filters):
    found, _ = _described(model)
    nodes = found["nodes"]
    assert [node["name"] for node in nodes] == names
    assert [node["filters"] for node in nodes] == filters
    assert [node["first"] for node in nodes] == [0, *np.cumsum(filters)[:-1]]
    assert [node["kind"] for node in nodes] == [name[:-1].split("_")[0].rstrip("123") for name in names]
    assert found["edges"] == _chain(nodes)


def test_resnet20_has_an_edge_more_for_each_addition():
    found, template = _described(models.resnet20(classes=4))
    nodes = found["nodes"]
    names = [node["name"] for node in nodes]
    assert [name for name in names if "/" not in name] == ["conv1", "stage1", "stage2", "stage3", "dense1"]
    assert names[1:5] == ["stage1", "stage1/block1", "stage1/block1/conv1", "stage1/block1/conv2"]
    chain = _chain(nodes)
    assert len(chain) == 19 and all(edge in found["edges"] for edge in chain)
    skips = [(names[i], names[j]) for i, j in found["edges"] if [i, j] not in chain]
    blocks = [f"stage{stage}/block{block}" for stage in (1, 2, 3) for block in (1, 2, 3)]
    # What comes before a block flows, around it, into what comes after it.
    before = ["conv1", *(f"{block}/conv2" for block in blocks)]
    after = [*(f"{block}/conv1" for block in blocks[1:]), "dense1"]
    assert skips == list(zip(before[:-1], after, strict=True))
    assert sum(node["weights"] for node in nodes if node["parent"] == -1 and node["kind"] == "group") == (
        sum(leaf.size for leaf in jax.tree.leaves(template) if len(leaf.shape) == 4) - 27 * 16
    )


def test_projections_are_layers_beside_the_block():
    found, _ = _described(models.resnet20((2, 3), (1, 1), 4, "projection"), side=8)
    names = [node["name"] for node in found["nodes"]]
    edges = {(names[i], names[j]) for i, j in found["edges"]}
    assert ("stage1/block1/conv2", "stage2/block1/shortcut") in edges
    assert ("stage2/block1/shortcut", "dense1") in edges and ("stage1/block1/conv2", "dense1") not in edges


@pytest.mark.parametrize("model", [models.resnet20((2, 3), (1, 2), 4), models.vgg((2, 3), classes=4)])
def test_groups_hold_their_layers(model):
    found, template = _described(model, side=8)
    nodes = found["nodes"]
    for i, node in enumerate(nodes):
        assert -1 <= node["parent"] < i
        below = [n for n in nodes if n["name"].startswith(node["name"] + "/") and n["kind"] != "group"]
        if node["kind"] == "group":
            assert node["weights"] == sum(n["weights"] * n["filters"] for n in below)
            assert node["first"] == below[0]["first"]
            assert node["filters"] == sum(n["filters"] for n in below)
    assert json.loads(json.dumps(found)) == found
    by_position = kernels(found, template)
    assert list(by_position) == [i for i, node in enumerate(nodes) if node["kind"] != "group"]
    for i, kernel in by_position.items():
        assert kernel.shape[-1] == nodes[i]["filters"]
        assert kernel.size == nodes[i]["filters"] * nodes[i]["weights"]


W = jnp.ones((3, 3))


def test_branches_concatenated_and_added():
    def predict(params, x):
        left, right = jnp.tanh(x @ params["left"]), jax.nn.relu(x @ params["right"])
        joined = jnp.concatenate([left, right], axis=1) @ params["joined"]
        return (joined + left + params["shift"][None]) @ params["last"]

    params = {"left": W, "right": W, "joined": jnp.ones((6, 3)), "last": W, "shift": jnp.ones(3), "apart": W}
    edges, names = _of(predict, params)
    assert names == ["left", "right", "joined", "last", "apart"]
    assert edges == {("left", "joined"), ("right", "joined"), ("joined", "last"), ("left", "last")}


def test_a_sum_of_parallel_layers_keeps_all_of_them():
    def predict(params, x):
        total = x @ params["a"] + x @ params["b"] + x @ params["c"]
        return total @ params["d"]

    edges, _ = _of(predict, dict.fromkeys("abcd", W))
    assert edges == {("a", "d"), ("b", "d"), ("c", "d")}


def test_through_every_kind_of_inner_program():
    @jax.custom_vjp
    def twice(x, w):
        return 2 * x @ w

    twice.defvjp(lambda x, w: (twice(x, w), (x, w)), lambda kept, g: (g @ kept[1].T, kept[0].T @ g))

    def predict(params, x):
        x = jax.jit(lambda x: x @ params["a"])(x)
        x = jax.checkpoint(lambda x, w: jax.nn.relu(x @ w))(x, params["b"])
        x = twice(x, params["c"])
        x = jax.lax.cond(x.sum() > 0, lambda x: x @ params["d"], lambda x: x, x)
        x, _ = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, params["e"])
        x = jax.lax.while_loop(lambda x: x.sum() > 9, lambda x: x @ params["f"], x)
        return x @ params["g"]

    params = {**dict.fromkeys("abcdfg", W), "e": jnp.ones((4, 3, 3))}
    edges, names = _of(predict, params)
    assert names == list("abcdefg")
    # Either way of the condition may be taken, and the last loop may not be entered.
    chain = {("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f"), ("f", "g")}
    assert edges == chain | {("c", "e"), ("e", "g")}


def test_layers_of_a_loop_feed_each_other():
    def predict(params, x):
        def step(carry, _):
            first, second = carry
            return (second @ params["a"] + first, first @ params["b"] + second), None

        return jax.lax.scan(step, (x, x), length=3)[0][0] @ params["c"]

    edges, _ = _of(predict, dict.fromkeys("abc", W))
    assert edges == {("a", "b"), ("b", "a"), ("a", "c")}


def test_the_order_is_that_of_use_and_names_are_unique():
    class Two(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.Dense(3, name="z")(x)
            both = (
                self.param("one", nn.initializers.ones, (3, 3)),
                self.param("two", nn.initializers.ones, (3, 3)),
            )
            return nn.Dense(2, name="a")((x @ both[1]) @ both[0])

    class Outer(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(2, name="b")(Two(name="two")(nn.Dense(3, name="c")(x)))

    x = jnp.ones((2, 3))
    params = Outer().init(jax.random.key(0), x)["params"]
    edges, names = _of(lambda params, x: Outer().apply({"params": params}, x), params, x)
    assert names == ["c", "two", "two/z", "two/two", "two/one", "two/a", "b"]
    assert edges == set(zip(names[:1] + names[2:-1], names[2:], strict=True))


def test_a_problem_that_predicts_nothing_is_read_from_its_loss():
    def loss(params, batch, *, key=None):
        error = jnp.sum((batch["x"] @ params["a"] @ params["b"] - batch["y"]) ** 2)
        return error + 0.1 * sum(jnp.vdot(leaf, leaf) for leaf in params.values())

    batch = {"x": jnp.ones((2, 3)), "y": jnp.zeros((2, 3))}
    found = describe(Problem(None, loss), {"b": W, "a": W}, batch)
    assert [node["name"] for node in found["nodes"]] == ["a", "b"]
    assert found["edges"] == [[0, 1]]


def test_the_decoder_that_predict_leaves_out():
    x = np.zeros((4, 2), np.float32)
    data = Dataset("toy", {"x": x, "y": np.zeros(4, np.int32)}, None, ("a",))
    problem = problems.discriminant(model=models.galaxy((4, 3)), data=data)
    found = describe(problem, jax.eval_shape(problem.init, jax.random.key(0)), x[:1])
    names = [node["name"] for node in found["nodes"]]
    parts = [f"{part}/dense{i}" for part in ("encoder", "decoder") for i in (1, 2, 3)]
    assert names == ["encoder", *parts[:3], "decoder", *parts[3:]]
    assert found["edges"] == _chain(found["nodes"])


def test_a_problem_without_kernels_has_no_nodes():
    problem = rosenbrock()
    assert describe(problem, jax.eval_shape(problem.init, jax.random.key(0)), None) == {
        "nodes": [],
        "edges": [],
    }


def test_names_with_a_slash_are_layers_of_their_own_and_a_number_is_none():
    inner, outer = jnp.ones((3, 4)), jnp.ones((4, 2))
    params = {"a": {"b": {"kernel": inner}}, "a/b": {"kernel": outer}, "kernel": jnp.ones(())}
    edges, names = _of(lambda p, x: p["kernel"] * (x @ p["a"]["b"]["kernel"]) @ p["a/b"]["kernel"], params)
    assert names == ["a", "a/b", "a/b (2)"]
    assert edges == {("a/b", "a/b (2)")}
    network = describe(Problem(None, None, lambda p, x: x), params, jnp.ones((2, 3)))
    assert [leaf.shape for leaf in kernels(network, params).values()] == [(3, 4), (4, 2)]
