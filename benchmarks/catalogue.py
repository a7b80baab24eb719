"""The test functions as every minimiser sees them: one objective, one target, one way of counting.

Whoever minimises, an evaluation is one call of the error function, with or without its slope, counted
where the numbers are computed: SciPy calls the jitted function, compiled minimisers call the host.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import io_callback

from gdlab import problems


class Case(NamedTuple):
    """A test function, float64: f [n] -> (), its jitted (f, slope), start [n], f(start), minimum, target."""

    name: str
    loss: Callable
    value_and_grad: Callable
    start: Any
    first: float
    optimum: float
    target: float


def cases(names=None):
    """The catalogue, or some of it. The target is f - f* = 1e-8 max(1, f(start)), f* the known minimum."""
    chosen = [factory for factory in problems.CATALOGUE if not names or factory.__name__ in names]
    for factory in chosen:
        problem = factory()
        start = problem.init(None)
        value_and_grad = jax.jit(jax.value_and_grad(problem.loss))
        first = float(value_and_grad(start)[0])
        target = problem.optimum + 1e-8 * max(1.0, first)
        yield Case(factory.__name__, problem.loss, value_and_grad, start, first, problem.optimum, target)


class Arrived(Exception):
    """Raised out of a minimiser by the evaluation that ends the measurement."""


class Counter:
    """Counts evaluations and stops at the first at or below the target, or at `limit`."""

    def __init__(self, case, limit):
        self.case, self.limit = case, limit
        self.count, self.solved = 0, False

    def __call__(self, value):
        """Take note of one evaluation; returns its value."""
        self.count += 1
        self.solved = bool(value <= self.case.target)
        if self.solved or self.count >= self.limit:
            raise Arrived
        return value

    def for_scipy(self, x):
        """(f, slope) as NumPy, through the jitted function."""
        value, grad = self.case.value_and_grad(x)
        return self(float(value)), np.asarray(grad)

    def for_jax(self):
        """The loss as a JAX function that reports each of its evaluations from inside compiled loops."""
        loss = self.case.loss

        def seen(value):
            return io_callback(self, jax.ShapeDtypeStruct((), value.dtype), value)

        counted = jax.custom_jvp(lambda x: seen(loss(x)))

        @counted.defjvp
        def _(primals, tangents):
            value, tangent = jax.jvp(loss, primals, tangents)
            return seen(value), tangent

        return counted


def count(minimise, case, limit):
    """Evaluations until the target, None where it was not reached; `minimise(counter)` may stop by itself."""
    counter = Counter(case, limit)
    logger = logging.getLogger("jax._src.callback")
    logger.disabled = True  # it would print a traceback for every arrival
    try:
        minimise(counter)
    except Arrived:
        pass
    except jax.errors.JaxRuntimeError as error:
        if Arrived.__name__ not in str(error) and "callback" not in str(error):
            raise
    finally:
        logger.disabled = False
    return counter.count if counter.solved else None
