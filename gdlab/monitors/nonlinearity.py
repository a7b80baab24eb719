"""What becomes of a layer's output: its values behind the nonlinearity that follows it.

Networks tell what their layers return; a unit that passes nothing on is seen one function later, behind a
ReLU. Which function that is stands nowhere in a network. It is found in the program that JAX traces: from a
layer's output on, through what keeps its axes (sums, factors, a normalisation, a pooling), to the first
operation that is not linear in it. Where layers with weights or the end come first, the output itself stands.
"""

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

# Not linear in what they are given; of the second kind only against something else than the layer's output.
_BENT = frozenset(
    ("tanh", "logistic", "erf", "erfc", "exp", "exp2", "expm1", "log", "log1p", "abs", "sign", "sin", "cos")
)
_CHOICES = frozenset(("max", "min", "clamp", "select_n"))
# What keeps images, channels and their meaning.
_PASSED = frozenset(
    (
        *("add", "add_any", "sub", "mul", "div", "neg", "convert_element_type", "reshape", "transpose"),
        *("slice", "pad", "concatenate", "broadcast_in_dim", "squeeze", "expand_dims", "copy", "max", "min"),
        *("reduce_max", "reduce_window_max", "reduce_window_sum", "reduce_window", "select_n"),
        "stop_gradient",
    )
)
_WEIGHTED = frozenset(("dot_general", "conv_general_dilated", "ragged_dot"))


def with_outputs(activations, *arguments):
    """({layer: values}, {layer: values behind the nonlinearity}) of activations(*arguments); pure JAX.

    activations: a function that returns {layer: [B, ...]}, as `Problem.activations`. Where nothing bends a
    layer's output, both are the same.
    """
    closed, shapes = jax.make_jaxpr(activations, return_shape=True)(*arguments)
    jaxpr, layout = closed.jaxpr, jax.tree.structure(shapes)
    behind = [_behind(jaxpr, variable) for variable in jaxpr.outvars]
    unnamed = jaxpr.debug_info._replace(result_paths=None)  # there are twice as many results now
    both = jaxpr.replace(outvars=[*jaxpr.outvars, *behind], debug_info=unnamed)
    values = jaxpr_as_fun(ClosedJaxpr(both, closed.consts))(*jax.tree.leaves(arguments))
    count = len(behind)
    return jax.tree.unflatten(layout, values[:count]), jax.tree.unflatten(layout, values[count:])


def _behind(jaxpr, output):
    """The variable of a jaxpr that holds an output behind its nonlinearity; where none is, the output."""
    if _is_constant(output):
        return output
    reached, bent, found = {output}, set(), None
    for equation in jaxpr.eqns:
        if output in equation.outvars and _is_bent(equation, {v for v in equation.invars if _is_variable(v)}):
            return output  # a group of layers that ends with its nonlinearity
        inputs = {variable for variable in equation.invars if _is_variable(variable)}
        if found is not None:
            if _gates(equation, inputs, reached, bent):
                return equation.outvars[0]
            if inputs & bent and equation.primitive.name in _PASSED:
                bent |= set(equation.outvars)
            continue
        if not inputs & reached or _has_weights(equation):
            continue
        if _is_bent(equation, reached):
            if _alike(equation.outvars[0], output):
                found, bent = equation.outvars[0], {equation.outvars[0]}
        elif _inner(equation) or equation.primitive.name in _PASSED:
            reached |= set(equation.outvars)
    return output if found is None else found


def _gates(equation, inputs, reached, bent):
    """Whether an operation multiplies what was bent with what was not, as in x * sigmoid(x)."""
    return equation.primitive.name == "mul" and bool(inputs & bent) and bool(inputs & reached)


def _is_bent(equation, reached):
    """Whether an operation is not linear in the variables that were reached."""
    touched = [_is_variable(v) and v in reached for v in equation.invars]
    if not any(touched):
        return False
    name = equation.primitive.name
    inner = _inner(equation)
    if inner:
        return any(_bends(one, touched[-len(one.invars) :]) for one in inner if len(one.invars))
    if name == "select_n":  # by itself, or instead of a constant
        return touched[0] or not all(touched[1:])
    # Of several windows of the same output, as in pooling, the largest is none.
    return name in _BENT or (name in _CHOICES and not all(touched))


def _bends(jaxpr, touched):
    """Whether a program is not linear in those of its inputs that are marked."""
    reached = {variable for variable, marked in zip(jaxpr.invars, touched, strict=False) if marked}
    for equation in jaxpr.eqns:
        if _is_bent(equation, reached):
            return True
        if any(_is_variable(v) and v in reached for v in equation.invars):
            reached |= set(equation.outvars)
    return False


def _has_weights(equation):
    """Whether an operation multiplies matrices, at whatever depth: another layer."""
    if equation.primitive.name in _WEIGHTED:
        return True
    return any(_has_weights(one) for jaxpr in _inner(equation) for one in jaxpr.eqns)


def _inner(equation):
    """The programs within an operation: of a call, a custom derivative, a loop."""
    found = [getattr(value, "jaxpr", value) for value in equation.params.values()]
    return [one for one in found if hasattr(one, "eqns")]


def _alike(variable, output):
    """Whether a variable has the images and the units of an output, whatever became of the positions."""
    one, other = variable.aval.shape, output.aval.shape
    return len(one) == len(other) and one[0] == other[0] and one[-1] == other[-1]


def _is_variable(value):
    return not hasattr(value, "val")


def _is_constant(value):
    return not _is_variable(value) or not jnp.issubdtype(value.aval.dtype, jnp.inexact)
