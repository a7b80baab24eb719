"""Networks on images whose last axis is the example: several times faster on a CPU, where only evaluated.

Within `images_last`, images are [C, H, W, B], and a convolution, its activation and its pooling are
one loop over neighbouring examples: no patches are laid out, nothing is written but the result. Outside,
`pooled` and `flatten` are the usual layers, and what a training computes is the same to the bit.
"""

import contextvars
import functools
import itertools
from contextlib import contextmanager

import jax
import jax.numpy as jnp

from gdlab.models.layers import max_pool

MOST_ENTRIES = 100  # of a kernel per filter; beyond, the loop is long to compile and no faster
_images_last = contextvars.ContextVar("images_last", default=False)


@contextmanager
def images_last():
    """Within it, networks of `pooled`, `flatten` and dense layers take images as [C, H, W, B].

    It holds while a function is traced, for parameters that exist already. Other networks fail or compute
    nonsense, so compare.
    """
    token = _images_last.set(True)
    try:
        yield
    finally:
        _images_last.reset(token)


def is_images_last():
    """Whether this is called within `images_last`."""
    return _images_last.get()


def to_images_last(x):
    """Images [B, H, W, C] as [C, H, W, B]; anything else as it is."""
    return x.transpose(3, 1, 2, 0) if x.ndim == 4 else x


def turned(shape):
    """The shape that `to_images_last` makes of one."""
    return (shape[3], shape[1], shape[2], shape[0]) if len(shape) == 4 else tuple(shape)


def flatten(x):
    """Images [B, H, W, C], or [C, H, W, B] within `images_last`, as [B, H * W * C]."""
    if _images_last.get():
        x = x.transpose(3, 1, 2, 0)
    return x.reshape(x.shape[0], -1)


def pooled(convolution, x, activation):
    """max_pool(activation(convolution(x))), windows of 2 x 2; convolution: a `layers.Conv` of the caller.

    Raises ValueError within `images_last` for padding, strides, or a kernel of more than MOST_ENTRIES.
    """
    # Who only asks which parameters there are gets them in the usual way.
    if not _images_last.get() or convolution.is_initializing():
        return max_pool(activation(convolution(x)))
    rows, columns = convolution.kernel_size
    if convolution.padding != "VALID" or tuple(convolution.strides) != (1, 1):
        raise ValueError("images_last knows convolutions without padding and of stride 1 alone")
    if rows * columns * x.shape[0] > MOST_ENTRIES:
        raise ValueError(f"images_last is for kernels of at most {MOST_ENTRIES} entries per filter")
    kernel = convolution.get_variable("params", "kernel")
    corners = _corners(x, kernel)
    if convolution.use_bias:
        bias = convolution.get_variable("params", "bias").reshape(-1, 1, 1, 1)
        corners = [corner + bias for corner in corners]
    corners = [activation(corner) for corner in corners]
    return jnp.maximum(jnp.maximum(*corners[:2]), jnp.maximum(*corners[2:]))


def _corners(x, kernel):
    """A convolution of x [C, H, W, B] as four arrays [F, h, w, B]: at even and odd rows and columns.

    Sums of shifted images, one per entry of the kernel: XLA makes one loop of them and of what follows.
    """
    (_, height, width, batch), (rows, columns, channels, filters) = x.shape, kernel.shape
    high, wide = (height - rows + 1) // 2, (width - columns + 1) // 2
    flat = kernel.reshape(-1, filters, 1, 1, 1)
    entries = list(itertools.product(range(rows), range(columns), range(channels)))
    weights = {entry: flat[number] for number, entry in enumerate(entries)}

    @functools.cache
    def shifted(down, across, channel):
        stop = (channel + 1, down + 2 * high - 1, across + 2 * wide - 1, batch)
        return jax.lax.slice(x, (channel, down, across, 0), stop, (1, 2, 2, 1))

    return [
        sum(shifted(down + i, across + j, c) * weights[i, j, c] for i, j, c in entries)
        for down, across in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
