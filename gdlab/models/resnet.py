"""Residual networks: each block adds what it has learnt to what it was given.

Source: He, Zhang, Ren, Sun 2016, Deep Residual Learning for Image Recognition: section 4.2 for small
images (ResNet-20), section 4.1 and Table 1 for large ones (ResNet-18 and ResNet-50).
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gdlab.models.layers import Conv, activation_function, batch_normalisation

SHORTCUTS = ("identity", "projection")
STRIDES_ON = ("3x3", "1x1")
_HE_NORMAL = nn.initializers.he_normal()  # as the paper: its reference [13], for ReLU
_BORDER = {1: ((0, 0), (0, 0)), 3: ((1, 1), (1, 1)), 7: ((3, 3), (3, 3))}


class Block(nn.Module):
    """Two 3 x 3 convolutions, or a bottleneck of 1 x 1, 3 x 3 and 1 x 1, and a shortcut around them.

    Images [B, H, W, C] -> [B, H / stride, W / stride, F], F = `filters`, or 4 `filters` of a bottleneck.
    `stride_on` says which convolution of a bottleneck strides: its "3x3", or its first "1x1". Options of
    the shortcut as in `ResNet`.
    """

    filters: int
    stride: int = 1
    bottleneck: bool = False
    shortcut: str = "projection"
    stride_on: str = "3x3"
    activation: Callable = nn.relu

    @nn.compact
    def __call__(self, x, train=False):
        wide = self.filters * (4 if self.bottleneck else 1)
        plan = [(3, self.filters, self.stride), (3, self.filters, 1)]
        if self.bottleneck:
            early, late = (1, self.stride) if self.stride_on == "3x3" else (self.stride, 1)
            plan = [(1, self.filters, early), (3, self.filters, late), (1, wide, 1)]
        y = x
        for number, (size, filters, stride) in enumerate(plan, 1):
            y = _convolution(filters, size, stride, f"conv{number}")(y)
            y = batch_normalisation(train, f"norm{number}")(y)
            if number < len(plan):
                y = self.activation(y)
        if self.stride > 1 or x.shape[-1] != wide:
            if self.shortcut == "projection":
                x = _convolution(wide, 1, self.stride, "shortcut")(x)
                x = batch_normalisation(train, "shortcut_norm")(x)
            else:
                x = x[:, :: self.stride, :: self.stride]
                x = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, wide - x.shape[-1])))
        return self.activation(x + y)


class Stage(nn.Module):
    """`blocks` blocks one after another, of which the first strides by `stride`; options as in `Block`."""

    blocks: int
    filters: int
    stride: int
    bottleneck: bool
    shortcut: str
    stride_on: str
    activation: Callable

    @nn.compact
    def __call__(self, x, train=False):
        for number in range(1, self.blocks + 1):
            stride = self.stride if number == 1 else 1
            options = (self.bottleneck, self.shortcut, self.stride_on, self.activation)
            x = Block(self.filters, stride, *options, name=f"block{number}")(x, train)
        return x


class ResNet(nn.Module):
    """Images [B, H, W, C] -> logits [B, classes].

    A first convolution, 3 x 3, or, for `large` images, 7 x 7 of stride 2 and 3 x 3 max pooling of stride 2;
    a stage of blocks per entry of `filters` and `blocks`, each but the first halving the image; the
    mean over the positions; a dense layer. Convolutions have no bias; batch normalisation follows each.

    shortcut   where a block changes the shape: "identity" drops every other position and fills up with
               zeros (option A of the paper), "projection" is a 1 x 1 convolution (option B)
    stride_on  of bottlenecks: "3x3", which most libraries compute, or "1x1", as in the paper
    """

    filters: tuple[int, ...]
    blocks: tuple[int, ...]
    classes: int = 10
    large: bool = False
    bottleneck: bool = False
    shortcut: str = "identity"
    stride_on: str = "3x3"
    activation: Callable = nn.relu

    @nn.compact
    def __call__(self, x, train=False):
        size, stride = (7, 2) if self.large else (3, 1)
        x = _convolution(self.filters[0], size, stride, "conv1")(x)
        x = self.activation(batch_normalisation(train, "norm1")(x))
        if self.large:
            x = overlapping_max_pool(x)
        options = (self.bottleneck, self.shortcut, self.stride_on, self.activation)
        for number, (filters, blocks) in enumerate(zip(self.filters, self.blocks, strict=True), 1):
            stride = 1 if number == 1 else 2
            x = Stage(blocks, filters, stride, *options, name=f"stage{number}")(x, train)
        return nn.Dense(self.classes, name="dense1")(x.mean(axis=(1, 2)))


def overlapping_max_pool(x):
    """The largest value of each 3 x 3 window of x [B, H, W, C], every two pixels, the first around a corner.

    Returns [B, ceil(H / 2), ceil(W / 2), C]. Equals
    flax.linen.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))), except that values that tie share the gradient.
    """
    _, height, width, _ = x.shape
    down, across = (height + 1) // 2, (width + 1) // 2
    # As the maximum of nine shifted images: the gradient of XLA's own window is slow on a CPU.
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)

    def shifted(i, j):
        stop = (x.shape[0], i + 2 * down - 1, j + 2 * across - 1, x.shape[3])
        return jax.lax.slice(x, (0, i, j, 0), stop, (1, 2, 2, 1))

    rows = [jnp.maximum(jnp.maximum(shifted(i, 0), shifted(i, 1)), shifted(i, 2)) for i in range(3)]
    return jnp.maximum(jnp.maximum(rows[0], rows[1]), rows[2])


def resnet20(
    filters: Sequence[int] = (16, 32, 64),
    blocks: Sequence[int] = (3, 3, 3),
    classes: int = 10,
    shortcut: str = "identity",
    activation: str = "relu",
) -> ResNet:
    """ResNet-20 for images of 32 x 32; 269,722 parameters on colour. 6 n + 2 layers with n blocks a stage.

    Raises ValueError for filters and blocks that do not match, an unknown shortcut or activation.
    """
    return _resnet(filters, blocks, classes, shortcut, activation)


def resnet18(
    filters: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (2, 2, 2, 2),
    classes: int = 1000,
    shortcut: str = "projection",
    activation: str = "relu",
) -> ResNet:
    """ResNet-18 for images of 224 x 224; 11,689,512 parameters on colour.

    Raises ValueError for filters and blocks that do not match, an unknown shortcut or activation.
    """
    return _resnet(filters, blocks, classes, shortcut, activation, large=True)


def resnet50(
    filters: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (3, 4, 6, 3),
    classes: int = 1000,
    shortcut: str = "projection",
    stride_on: str = "3x3",
    activation: str = "relu",
) -> ResNet:
    """ResNet-50 for images of 224 x 224; 25,557,032 parameters on colour. Blocks end with 4 x `filters`.

    Raises ValueError for filters and blocks that do not match, an unknown shortcut, stride_on or activation.
    """
    if stride_on not in STRIDES_ON:
        raise ValueError(
            f"stride_on = {stride_on!r} is not allowed; it must be one of {', '.join(STRIDES_ON)}"
        )
    options = {"large": True, "bottleneck": True, "stride_on": stride_on}
    return _resnet(filters, blocks, classes, shortcut, activation, **options)


def _convolution(filters, size, stride, name):
    return Conv(
        filters,
        (size, size),
        (stride, stride),
        padding=_BORDER[size],
        use_bias=False,
        method="wide" if jax.default_backend() == "cpu" else "xla",
        kernel_init=_HE_NORMAL,
        name=name,
    )


def _resnet(filters, blocks, classes, shortcut, activation, **options):
    if len(filters) != len(blocks) or not filters or min(blocks) < 1:
        raise ValueError(
            f"filters = {list(filters)} and blocks = {list(blocks)} are not allowed; each stage needs one "
            "entry of both, and a block"
        )
    if shortcut not in SHORTCUTS:
        raise ValueError(f"shortcut = {shortcut!r} is not allowed; it must be one of {', '.join(SHORTCUTS)}")
    function = activation_function(activation)
    options |= {"classes": classes, "shortcut": shortcut, "activation": function}
    return ResNet(filters=tuple(filters), blocks=tuple(blocks), **options)
