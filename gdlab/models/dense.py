"""Fully connected networks: one matrix after another, a bent line in between."""

from collections.abc import Callable, Sequence

import flax.linen as nn

from gdlab.models.layers import activation_function


class Dense(nn.Module):
    """Dense layers of `features` units, `activation` between them, the last one linear.

    Input [B, ...] is flattened to [B, d]; output [B, features[-1]].
    """

    features: tuple[int, ...]
    activation: Callable = nn.tanh

    @nn.compact
    def __call__(self, x):
        x = x.reshape(x.shape[0], -1)
        for number, width in enumerate(self.features):
            x = nn.Dense(width, name=f"dense{number + 1}")(x)
            if number + 1 < len(self.features):
                x = self.activation(x)
        return x


def mlp(features: Sequence[int] = (32, 10), activation: str = "tanh") -> Dense:
    """A multilayer perceptron with `features` units per layer, the last of them the classes.

    `activation` names a function of flax.linen. Raises ValueError for one that is not there, and where
    there is no layer.
    """
    if not features:
        raise ValueError(f"features={list(features)}: allowed: a number for each layer, at least one")
    return Dense(tuple(features), activation_function(activation))
