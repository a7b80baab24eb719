"""The convolution for loops: forward mode, side by side, and whenever one of its arguments stands still."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gdlab.models import layers, wide

CASES = [
    ((3, 3), (1, 1), ((1, 1), (1, 1))),
    ((3, 2), (2, 1), ((1, 0), (0, 1))),
    ((1, 1), (2, 2), ((0, 0),) * 2),
]


def _xla(x, kernel, strides, pads):
    return jax.lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _arguments(size):
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((*size, 3, 4))


@pytest.mark.parametrize(("size", "strides", "pads"), CASES)
def test_tangents_in_the_forward_mode(float64, size, strides, pads):
    primals = _arguments(size)
    tangents = tuple(np.cos(leaf) for leaf in primals)

    @jax.jit
    def both(primals, tangents):
        sides = (lambda x, k, f=f: jnp.sin(f(x, k, strides, pads)) for f in (wide.convolve, _xla))
        return [jax.jvp(side, primals, tangents) for side in sides]

    ours, theirs = both(primals, tangents)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), ours, theirs)


@pytest.mark.parametrize("argument", [0, 1])
@pytest.mark.parametrize(("size", "strides", "pads"), CASES)
def test_gradient_of_one_argument_in_a_loop(float64, size, strides, pads, argument):
    def descend(function):
        def loss(*arguments):
            return jnp.sum(jnp.sin(function(*arguments, strides, pads)))

        def step(_, arguments):
            moved = list(arguments)
            moved[argument] = moved[argument] - 0.01 * jax.grad(loss, argument)(*arguments)
            return tuple(moved)

        return jax.jit(lambda *arguments: jax.lax.fori_loop(0, 3, step, arguments))

    ours, theirs = (descend(function)(*_arguments(size)) for function in (wide.convolve, _xla))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), ours, theirs)


def test_many_kernels_side_by_side(float64):
    x, kernel = _arguments((3, 3))
    kernels = np.stack([kernel, 2 * kernel, kernel**2])

    def gradients(function):
        def loss(kernel):
            return jnp.sum(jnp.sin(function(x, kernel, (2, 2), ((1, 1), (1, 1)))))

        return jax.jit(jax.vmap(jax.grad(loss)))(kernels)

    np.testing.assert_allclose(gradients(wide.convolve), gradients(_xla), rtol=1e-9, atol=1e-11)


def test_gradients_are_in_the_form_that_is_fast_within_a_loop():
    """Image and kernel are read in the order that XLA's convolution on a CPU needs, neither reversed."""

    def loss(x, kernel):
        return jnp.sum(jnp.sin(layers.convolve(x, kernel, method="wide", strides=(2, 2))))

    x, kernel = (jnp.asarray(leaf, jnp.float32) for leaf in _arguments((3, 3)))
    compiled = jax.jit(lambda x, k: jax.lax.fori_loop(0, 3, lambda _, a: jax.grad(loss, (0, 1))(*a), (x, k)))
    program = compiled.lower(x, kernel).compile().as_text()
    convolutions = [line for line in program.splitlines() if " convolution(" in line]
    assert len(convolutions) == 2
    assert all("dim_labels=b01f_01io->b01f" in line and "rhs_reversal" not in line for line in convolutions)
