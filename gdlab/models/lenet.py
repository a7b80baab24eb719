"""LeNets: convolutions that shrink an image, then dense layers that decide.

Source: LeCun, Bottou, Bengio, Haffner 1998; Kuchta 2023, chapter 6 (Figures 6.1 to 6.3), who also
uses a version with a thirtieth of the parameters and two tiny ones. The activation of the LeNets is
not stated there; ReLU is ours.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn

from gdlab.models.images_last import flatten, pooled
from gdlab.models.layers import (
    Conv,
    LeakyReLU,
    activation_function,
    batch_normalisation,
    check_dropout,
    max_pool,
)


class LeNet(nn.Module):
    """Images [B, H, W, C] -> logits [B, classes].

    Per entry of `filters` a convolution without padding, the activation, and 2 x 2 max pooling; then
    dense layers of `dense` units and the classes. `dropout` in [0, 1) is the share of inputs of the
    dense part that is dropped where a key called "dropout" is given. `batch_norm` normalises between
    each convolution, which then has no bias, and its activation.
    """

    filters: tuple[int, ...]
    kernel_size: int
    dense: tuple[int, ...]
    classes: int = 10
    dropout: float = 0.0
    activation: Callable = nn.relu
    batch_norm: bool = False

    @nn.compact
    def __call__(self, x, train=False):
        for number, filters in enumerate(self.filters, 1):
            size = (self.kernel_size, self.kernel_size)
            bias = not self.batch_norm
            convolution = Conv(filters, size, padding="VALID", use_bias=bias, name=f"conv{number}")
            if self.batch_norm:
                x = batch_normalisation(train, f"norm{number}")(convolution(x))
                x = max_pool(self.activation(x))
            else:
                x = pooled(convolution, x, self.activation)
        x = flatten(x)
        x = nn.Dropout(self.dropout, deterministic=not self.has_rng("dropout"))(x)
        for number, width in enumerate(self.dense, 1):
            x = self.activation(nn.Dense(width, name=f"dense{number}")(x))
        return nn.Dense(self.classes, name=f"dense{len(self.dense) + 1}")(x)


def lenet5(
    filters: Sequence[int] = (6, 16),
    dense: Sequence[int] = (120, 84),
    classes: int = 10,
    dropout: float = 0.0,
    activation: str = "relu",
    batch_norm: bool = False,
) -> LeNet:
    """LeNet-5: 5 x 5 convolutions of 6 and 16 filters, dense 120, 84; 61,706 parameters on 32 x 32.

    Raises ValueError for a dropout outside [0, 1) or an unknown activation.
    """
    function = activation_function(activation)
    return LeNet(tuple(filters), 5, tuple(dense), classes, check_dropout(dropout), function, batch_norm)


def modified_lenet(
    filters: Sequence[int] = (5, 10, 10),
    classes: int = 10,
    dropout: float = 0.0,
    activation: str = "relu",
    batch_norm: bool = False,
) -> LeNet:
    """Modified-LeNet: 3 x 3 convolutions of 5, 10, 10 filters, one dense layer; 1,830 parameters on 32 x 32.

    Raises ValueError for a dropout outside [0, 1) or an unknown activation.
    """
    function = activation_function(activation)
    return LeNet(tuple(filters), 3, (), classes, check_dropout(dropout), function, batch_norm)


def tiny_cnn(
    filters: Sequence[int] = (3, 3, 3),
    classes: int = 10,
    dropout: float = 0.0,
    slope: float = 0.1,
    batch_norm: bool = False,
) -> LeNet:
    """TinyCNN: 3 x 3 convolutions of 3, 3, 3 filters, leaky ReLU, one dense layer; 328 parameters on 32 x 32.

    `slope` is the leaky ReLU's for negative inputs.

    Raises ValueError for a dropout outside [0, 1) or a slope outside (-1, 1).
    """
    if not -1 < slope < 1:
        raise ValueError(f"slope = {slope!r} is not allowed; it must be in (-1, 1)")
    return LeNet(tuple(filters), 3, (), classes, check_dropout(dropout), LeakyReLU(slope), batch_norm)


def tiny_nn(classes: int = 10, dropout: float = 0.0) -> LeNet:
    """TinyNN: one dense layer, from the pixels to the classes; 10,250 parameters on 32 x 32.

    Raises ValueError for a dropout outside [0, 1).
    """
    return LeNet((), 1, (), classes, check_dropout(dropout))
