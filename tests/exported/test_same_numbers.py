"""What comes out of a run folder is what the live functions give, to the last bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.exported import open_functions, write_functions
from gdlab.training.variables import plain
from tests.exported.models import ALL


@pytest.fixture(scope="module", params=sorted(ALL))
def carried(request, tmp_path_factory):
    """(model, Functions) of a kind of model."""
    return written(request.param, tmp_path_factory)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The same of the one that is quickly compiled."""
    return written("plain", tmp_path_factory)


def written(kind, tmp_path_factory):
    model = ALL[kind]()
    folder = tmp_path_factory.mktemp(kind)
    notes = write_functions(
        folder,
        params=model.params,
        batch=model.batch,
        x=model.x,
        aux=model.aux,
        loss=model.loss,
        predict=model.predict,
    )
    assert notes == []
    return model, open_functions(folder)


def live(model):
    """The loss of inexact leaves alone, as JAX's users write it: (leaves -> (), leaves)."""
    leaves, structure = jax.tree.flatten(model.params)
    moves = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def loss(moved, batch):
        waiting = iter(moved)
        params = structure.unflatten(
            [next(waiting) if m else leaf for m, leaf in zip(moves, leaves, strict=True)]
        )
        found = model.loss(params, batch) if model.aux is None else model.loss(params, batch, model.aux)
        return found[0] if isinstance(found, tuple) else found

    return loss, [leaf for m, leaf in zip(moves, leaves, strict=True) if m], moves


def exported(model, functions):
    """The same of the exported loss."""
    aux = None if model.aux is None else as_dicts(functions, model.aux, "aux")
    problem = functions.problem(aux)
    leaves = jax.tree.leaves(model.params)
    _, _, moves = live(model)

    def loss(moved, batch):
        waiting = iter(moved)
        every = [next(waiting) if m else leaf for m, leaf in zip(moves, leaves, strict=True)]
        return problem.loss(functions.to_tree(every), as_dicts(functions, batch, "batch"))

    return loss


def as_dicts(functions, tree, of):
    return functions.to_tree(jax.tree.leaves(tree), of)


def more(model, functions):
    """The leaves of what the loss takes besides parameters."""
    keys_as_data = lambda a: jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a  # noqa: E731
    return [keys_as_data(leaf) for leaf in jax.tree.leaves((model.batch, model.aux))]


def directions(moved):
    return [jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape) for leaf in moved]


def equal(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_value_gradient_and_hessian_vector_product(carried):
    model, functions = carried
    loss, moved, _ = live(model)
    other = exported(model, functions)

    def product(f):
        @jax.jit
        def along(moved, batch, direction):
            return jax.jvp(jax.grad(lambda p: f(p, batch)), (moved,), (direction,))

        return along(moved, model.batch, directions(moved))

    assert equal(jax.jit(loss)(moved, model.batch), jax.jit(other)(moved, model.batch))
    assert equal(*(jax.jit(jax.value_and_grad(f))(moved, model.batch) for f in (loss, other)))
    # The program itself; within a rule of JAX it meets that of the gradient, and XLA may round otherwise.
    leaves = [*functions.to_leaves(as_dicts(functions, model.params, "params")), *more(model, functions)]
    alone = jax.jit(functions.program("loss", "curvature"))(*leaves, *directions(moved))
    there = product(loss)
    assert equal(there, alone)
    for one, two in zip(jax.tree.leaves(there), jax.tree.leaves(product(other)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_batches_of_another_size(carried):
    model, functions = carried
    loss, moved, _ = live(model)
    fewer = jax.tree.map(lambda array: array[:3], model.batch)
    assert equal(jax.jit(loss)(moved, fewer), jax.jit(exported(model, functions))(moved, fewer))


def test_reverse_over_reverse_forward_and_maps(small):
    """Other ways than the programs were made by: the same derivatives up to rounding."""
    model, functions = small
    loss, moved, _ = live(model)
    other, direction = exported(model, functions), directions(moved)

    def ways(f):
        def slope_along(p):
            return sum(jnp.vdot(g, u) for g, u in zip(jax.grad(f)(p, model.batch), direction, strict=True))

        many = [jnp.stack([leaf, 1.1 * leaf, 0.9 * leaf]) for leaf in moved]
        yield jax.jit(jax.grad(slope_along))(moved)
        yield jax.jit(lambda p: jax.jvp(lambda q: f(q, model.batch), (p,), (direction,)))(moved)
        yield jax.jit(jax.vmap(lambda p: f(p, model.batch)))(many)
        yield jax.jit(jax.vmap(jax.grad(lambda p: f(p, model.batch))))(many)
        yield jax.jit(lambda p: jax.lax.map(lambda q: f(q, model.batch), p))(many)
        yield jax.jit(jax.grad(lambda p: jax.vmap(lambda q: f(q, model.batch))(p).sum()))(many)

    for one, two in zip(ways(loss), ways(other), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), one, two)


def test_a_whole_hessian_matrix_by_both_ways(small):
    model, functions = small
    loss, moved, _ = live(model)
    small = min(range(len(moved)), key=lambda n: (moved[n].size, n))

    def matrices(f):
        of = lambda leaf: f([*moved[:small], leaf, *moved[small + 1 :]], model.batch)  # noqa: E731
        return [jax.jit(way)(moved[small]) for way in (jax.hessian(of), jax.jacrev(jax.jacrev(of)))]

    for one, two in zip(matrices(loss), matrices(exported(model, functions)), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-4, atol=2e-5)


def test_predictions(carried):
    model, functions = carried
    more = () if model.aux is None else (model.aux,)
    aux = None if model.aux is None else as_dicts(functions, model.aux, "aux")
    params = as_dicts(functions, model.params, "params")
    assert equal(
        jax.jit(model.predict)(model.params, model.x[:4], *more),
        jax.jit(functions.problem(aux).predict)(params, model.x[:4]),
    )


def test_predictions_may_be_differentiated_in_reverse(carried):
    """By the examples, as a map of saliency asks for, or, where these are tokens, by the parameters."""
    model, functions = carried
    more = () if model.aux is None else (model.aux,)
    aux = None if model.aux is None else as_dicts(functions, model.aux, "aux")
    predict, params = functions.problem(aux).predict, as_dicts(functions, model.params, "params")
    if not jnp.issubdtype(model.x.dtype, jnp.inexact):
        slope = jax.grad(lambda p: predict(p, model.x).sum())(params)
        live = jax.grad(lambda p: model.predict(p, model.x, *more).sum())(model.params)
        np.testing.assert_allclose(slope["place"], live["place"], rtol=1e-4, atol=1e-5)
        return
    slopes = jax.jit(jax.grad(lambda x: (predict(params, x) ** 2).sum()))
    live = jax.jit(jax.grad(lambda x: (model.predict(model.params, x, *more) ** 2).sum()))
    for x in (model.x, model.x[:3]):
        np.testing.assert_allclose(slopes(x), live(x), rtol=1e-4, atol=1e-5)


def test_names_of_layers_are_those_of_the_tree(carried):
    model, functions = carried
    there = jax.tree.leaves(plain(model.params))
    back = functions.to_leaves(functions.to_tree(there))
    assert equal(there, back)
    assert jax.tree.map(jnp.shape, functions.to_tree(there)) == jax.tree.map(
        lambda s: s.shape, functions.params
    )
