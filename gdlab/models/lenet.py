"""LeNets: convolutions that shrink an image, then dense layers that decide.

Source: LeCun, Bottou, Bengio, Haffner 1998; Kuchta 2023, chapter 6 (Figures 6.1 and 6.2), who also
uses a version with a thirtieth of the parameters. The activation is not stated there; ReLU is ours.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn

from gdlab.models.layers import Conv, activation_function, max_pool


class LeNet(nn.Module):
    """Images [B, H, W, C] -> logits [B, classes].

    Per entry of `filters` a convolution without padding, the activation, and 2 x 2 max pooling; then
    dense layers of `dense` units and the classes. `dropout` in [0, 1) is the share of inputs of the
    dense part that is dropped while training (`train=True` and a key called "dropout").
    """

    filters: tuple[int, ...]
    kernel_size: int
    dense: tuple[int, ...]
    classes: int = 10
    dropout: float = 0.0
    activation: Callable = nn.relu

    @nn.compact
    def __call__(self, x, train=False):
        for number, filters in enumerate(self.filters):
            size = (self.kernel_size, self.kernel_size)
            x = Conv(filters, size, padding="VALID", name=f"conv{number + 1}")(x)
            x = max_pool(self.activation(x))
        x = x.reshape(x.shape[0], -1)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for number, width in enumerate(self.dense):
            x = self.activation(nn.Dense(width, name=f"dense{number + 1}")(x))
        return nn.Dense(self.classes, name=f"dense{len(self.dense) + 1}")(x)


def lenet5(
    filters: Sequence[int] = (6, 16),
    dense: Sequence[int] = (120, 84),
    classes: int = 10,
    dropout: float = 0.0,
    activation: str = "relu",
) -> LeNet:
    """LeNet-5: 5 x 5 convolutions of 6 and 16 filters, dense 120, 84; 61,706 parameters on 32 x 32.

    Raises ValueError for a dropout outside [0, 1) or an unknown activation.
    """
    return _lenet(filters, 5, dense, classes, dropout, activation)


def modified_lenet(
    filters: Sequence[int] = (5, 10, 10), classes: int = 10, dropout: float = 0.0, activation: str = "relu"
) -> LeNet:
    """Modified-LeNet: 3 x 3 convolutions of 5, 10, 10 filters, one dense layer; 1,830 parameters on 32 x 32.

    Raises ValueError for a dropout outside [0, 1) or an unknown activation.
    """
    return _lenet(filters, 3, (), classes, dropout, activation)


def _lenet(filters, kernel_size, dense, classes, dropout, activation):
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout = {dropout!r} is not allowed; it must be in [0, 1)")
    function = activation_function(activation)
    return LeNet(tuple(filters), kernel_size, tuple(dense), classes, dropout, function)
