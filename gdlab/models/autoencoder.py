"""A network through the eye of a needle: encode into few numbers, decode back.

Source: Becker et al. 2019, section 3.2, and Becker, Lippel, Stuhlsatz 2017; sizes chosen here.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn

from gdlab.models.dense import Dense
from gdlab.models.layers import activation_function


class Autoencoder(nn.Module):
    """x [B, d] -> (code [B, code], reconstruction [B, d]); the decoder mirrors the encoder.

    Hidden layers of `features` units with `activation`; the code and the output are linear.
    """

    features: tuple[int, ...]
    code: int = 1
    activation: Callable = nn.tanh

    @nn.compact
    def __call__(self, x):
        code = Dense((*self.features, self.code), self.activation, name="encoder")(x)
        mirrored = (*reversed(self.features), x.shape[-1])
        return code, Dense(mirrored, self.activation, name="decoder")(code)


def galaxy(features: Sequence[int] = (40, 20), code: int = 1, activation: str = "tanh") -> Autoencoder:
    """The network of the galaxy experiment: 2-40-20-1-20-40-2, LeCun-normal weights, zero biases.

    `activation` names a function of flax.linen. Raises ValueError for one that is not there.
    """
    return Autoencoder(tuple(features), code, activation_function(activation))


def autoencoder(features: Sequence[int] = (64, 32), code: int = 8, activation: str = "tanh") -> Autoencoder:
    """Encoder of `features` units and `code` numbers, and its mirror; otherwise as `galaxy`."""
    return Autoencoder(tuple(features), code, activation_function(activation))
