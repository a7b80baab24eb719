"""The networks of an ensemble over hyper-parameters: two convolutions for MNIST, three for CIFAR-10.

Source: Hamid et al. 2019, section 5, who state the convolutions and their filters (20, 50; 32, 32, 64) and
nothing else: neither pooling nor dense layers. The rest is that of Caffe's examples of the same data with as
many filters: LeNet (2 x 2 pooling, dense 500), here with a ReLU behind each convolution too, and
cifar10_quick (pooling of 3 x 3 windows every two pixels, dense 64). CIFAR-10 with LeNet's pooling and dense
layer is `hamid_cifar(pooling=2, dense=(500,))`.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gdlab.models.layers import Conv, activation_function, check_dropout, max_pool
from gdlab.models.lenet import LeNet


class CIFAR10Quick(nn.Module):
    """Images [B, H, W, C] -> logits [B, classes].

    Per entry of `filters` a 5 x 5 convolution that keeps the size, the activation, and pooling of windows of
    `pooling` (2 or 3) pixels a side every two pixels: the first takes the largest value, the others the
    mean. Then dense layers of `dense` units and the classes. Dropout as in `gdlab.models.LeNet`.
    """

    filters: tuple[int, ...]
    dense: tuple[int, ...]
    classes: int = 10
    dropout: float = 0.0
    activation: Callable = nn.relu
    pooling: int = 3

    @nn.compact
    def __call__(self, x, train=False):
        # With so many channels XLA's own convolution is faster than patches on a CPU, alone and under vmap.
        method = "wide" if jax.default_backend() == "cpu" else "xla"
        for number, filters in enumerate(self.filters, 1):
            x = self.activation(Conv(filters, (5, 5), method=method, name=f"conv{number}")(x))
            x = overlapping_pool(x, number > 1) if self.pooling == 3 else _pool(x, number > 1)
        x = x.reshape(x.shape[0], -1)
        x = nn.Dropout(self.dropout, deterministic=not self.has_rng("dropout"))(x)
        for number, width in enumerate(self.dense, 1):
            x = self.activation(nn.Dense(width, name=f"dense{number}")(x))
        return nn.Dense(self.classes, name=f"dense{len(self.dense) + 1}")(x)


def overlapping_pool(x, mean=False):
    """The largest value or the mean of 3 x 3 windows of x [B, H, W, C], every two pixels from a corner.

    Windows that reach over the border by one pixel are cut there; returns [B, H // 2, W // 2, C], H, W >= 2.
    Equals flax.linen.max_pool, or avg_pool without counting the padding, (3, 3), (2, 2),
    ((0, 1 - H % 2), (0, 1 - W % 2)), except that values that tie share the gradient.
    """
    # As nine shifted images: the gradient of XLA's own windows is slow on a CPU.
    _, height, width, _ = x.shape
    down, across = height // 2, width // 2
    border = ((0, 0), (0, 1 - height % 2), (0, 1 - width % 2), (0, 0))
    padded = jnp.pad(x, border, constant_values=0 if mean else -jnp.inf)

    def shifted(i, j):
        stop = (x.shape[0], i + 2 * down - 1, j + 2 * across - 1, x.shape[3])
        return jax.lax.slice(padded, (0, i, j, 0), stop, (1, 2, 2, 1))

    join = jnp.add if mean else jnp.maximum
    rows = [join(join(shifted(i, 0), shifted(i, 1)), shifted(i, 2)) for i in range(3)]
    out = join(join(rows[0], rows[1]), rows[2])
    if not mean:
        return out
    sizes = [jnp.minimum(3, extent - 2 * jnp.arange(extent // 2)) for extent in (height, width)]
    return out / (sizes[0][:, None] * sizes[1][None]).astype(x.dtype)[None, :, :, None]


def hamid_mnist(
    filters: Sequence[int] = (20, 50),
    dense: Sequence[int] = (500,),
    classes: int = 10,
    dropout: float = 0.0,
    activation: str = "relu",
) -> LeNet:
    """Two 5 x 5 convolutions of 20 and 50 filters, dense 500; 431,080 parameters on 28 x 28.

    Raises ValueError for a dropout outside [0, 1) or an unknown activation.
    """
    function = activation_function(activation)
    return LeNet(tuple(filters), 5, tuple(dense), classes, check_dropout(dropout), function)


def hamid_cifar(
    filters: Sequence[int] = (32, 32, 64),
    dense: Sequence[int] = (64,),
    classes: int = 10,
    dropout: float = 0.0,
    activation: str = "relu",
    pooling: int = 3,
) -> CIFAR10Quick:
    """Three 5 x 5 convolutions of 32, 32 and 64 filters, dense 64; 145,578 parameters on 32 x 32 colour.

    Raises ValueError for a dropout outside [0, 1), an unknown activation, or a pooling other than 2 or 3.
    """
    if isinstance(pooling, bool) or pooling not in (2, 3):
        raise ValueError(f"pooling = {pooling!r} is not allowed; it must be 2 or 3, pixels a side")
    function = activation_function(activation)
    return CIFAR10Quick(tuple(filters), tuple(dense), classes, check_dropout(dropout), function, pooling)


def _pool(x, mean):
    return nn.avg_pool(x, (2, 2), (2, 2)) if mean else max_pool(x)
