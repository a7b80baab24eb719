"""VGG: pairs of small convolutions that keep the size, pooling after each pair, one dense layer.

Source: Simonyan, Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition;
in the size of Kuchta 2023, Figure 6.4. The activation is not stated there; ReLU is ours.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn

from gdlab.models.layers import Conv, activation_function, batch_normalisation, check_dropout, max_pool


class VGG(nn.Module):
    """Images [B, H, W, C] -> logits [B, classes].

    Per entry of `filters` a block of `depth` 3 x 3 convolutions with "same" padding, each with the
    activation, and 2 x 2 max pooling; last a dense layer. Dropout and batch normalisation as in
    `gdlab.models.LeNet`.
    """

    filters: tuple[int, ...]
    depth: int = 2
    classes: int = 10
    dropout: float = 0.0
    activation: Callable = nn.relu
    batch_norm: bool = False

    @nn.compact
    def __call__(self, x, train=False):
        for block, filters in enumerate(self.filters, 1):
            for number in range(1, self.depth + 1):
                place = f"{block}_{number}"
                x = Conv(filters, (3, 3), use_bias=not self.batch_norm, name=f"conv{place}")(x)
                if self.batch_norm:
                    x = batch_normalisation(train, f"norm{place}")(x)
                x = self.activation(x)
            x = max_pool(x)
        x = x.reshape(x.shape[0], -1)
        x = nn.Dropout(self.dropout, deterministic=not self.has_rng("dropout"))(x)
        return nn.Dense(self.classes, name="dense1")(x)


def vgg(
    filters: Sequence[int] = (16, 32, 64),
    depth: int = 2,
    classes: int = 10,
    dropout: float = 0.0,
    activation: str = "relu",
    batch_norm: bool = False,
) -> VGG:
    """VGG with pairs of 16, 32 and 64 filters; 82,042 parameters on 32 x 32 grey, 82,330 on colour.

    Raises ValueError for a dropout outside [0, 1) or an unknown activation.
    """
    function = activation_function(activation)
    return VGG(tuple(filters), depth, classes, check_dropout(dropout), function, batch_norm)
