"""Convolution and pooling as Flax has them, made fast on every backend.

On the CPU, XLA's own convolution is slow, and many times slower within a scanned training loop; a
matrix product is fast everywhere. There, `Conv` lays the patches that the kernel sees side by side
and multiplies once. On GPU and TPU it calls XLA's convolution. Parameters and results are those of
flax.linen.Conv, so a network trained on one backend goes on, or is looked at, on the other.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from gdlab.models import wide

ACTIVATIONS = (
    "celu", "elu", "gelu", "hard_tanh", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softplus", "tanh",
)  # fmt: skip
METHODS = ("patches", "wide", "xla")
_LAYOUT = ("NHWC", "HWIO", "NHWC")
# [B, H, W, C] to [C, H, W, B] and back. On a CPU, neighbouring numbers that are treated alike are fast, and
# images are more than channels: convolution and pooling work in this order. XLA drops the transpositions
# between layers, so a whole network stays in it.
_IMAGES_LAST = (3, 1, 2, 0)


class Conv(nn.Module):
    """A two-dimensional convolution, x [B, H, W, C] -> [B, H', W', features].

    kernel_size, strides  (rows, columns)
    padding   "SAME", "VALID" or ((top, bottom), (left, right))
    method    "patches", "wide" (of `gdlab.models.wide`), "xla", or None: "patches" on a CPU, else "xla",
              as the backend in use is when traced

    Parameters as in flax.linen.Conv: `kernel` [rows, columns, C, features], drawn by `kernel_init`
    (LeCun-normal), and `bias`.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: str | Sequence[tuple[int, int]] = "SAME"
    use_bias: bool = True
    method: str | None = None
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x):
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,)) if self.use_bias else None
        x, kernel, bias = promote_dtype(x, kernel, bias)
        return convolve(x, kernel, bias, strides=self.strides, padding=self.padding, method=self.method)


def convolve(x, kernel, bias=None, *, strides=(1, 1), padding="SAME", method: str | None = None):
    """Cross-correlation of x [B, H, W, C] with kernel [rows, columns, C, F], plus bias [F]: [B, H', W', F].

    `padding` and `method` as in `Conv`. Raises ValueError where the shapes do not fit, where the
    kernel exceeds the padded image, or for an unknown method.
    """
    if method is None:
        method = "patches" if jax.default_backend() == "cpu" else "xla"
    if method not in METHODS:
        raise ValueError(
            f"method = {method!r} is not allowed; it must be one of {', '.join(METHODS)}, or None"
        )
    if x.ndim != 4 or kernel.ndim != 4 or x.shape[3] != kernel.shape[2]:
        raise ValueError(
            f"a convolution needs x [B, H, W, C] and kernel [rows, columns, C, F], "
            f"not {x.shape} and {kernel.shape}"
        )
    pads = _pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    if method != "patches":
        out = (
            wide.convolve(x, kernel, strides, pads)
            if method == "wide"
            else jax.lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=_LAYOUT)
        )
        return out if bias is None else out + bias[None, None, None, :]
    patches = _patches(x.transpose(_IMAGES_LAST), kernel.shape[:2], strides, pads, bias is not None)
    matrix = kernel.reshape(-1, kernel.shape[3])
    if bias is not None:
        # As one more row of the product: its gradient is then part of one too, where a sum over positions
        # and images is many times slower.
        matrix = jnp.concatenate([matrix, bias[None]])
    out = matrix.T @ patches.reshape(patches.shape[0], -1)
    return out.reshape(-1, *patches.shape[1:]).transpose(_IMAGES_LAST)


def max_pool(x, window=(2, 2)):
    """The largest value of each window of x [B, H, W, C], windows side by side; an incomplete one is cut.

    Equals flax.linen.max_pool(x, window, strides=window), except that values that tie share the gradient.
    """
    (rows, columns), (_, height, width, channels) = window, x.shape
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise ValueError(f"a pooling window of {window} does not fit into an image of {(height, width)}")
    down, across = height // rows, width // columns
    x = x.transpose(_IMAGES_LAST)[:, : down * rows, : across * columns]
    x = x.reshape(channels, down, rows, across, columns, -1).max(axis=(2, 4))
    return x.transpose(_IMAGES_LAST)


@dataclass(frozen=True)
class LeakyReLU:
    """The larger of x and `slope` x, elementwise; equal slopes make equal networks."""

    slope: float

    def __call__(self, x):
        """Flax's leaky_relu with this slope."""
        return nn.leaky_relu(x, self.slope)


def batch_normalisation(train: bool, name: str) -> nn.BatchNorm:
    """Batch normalisation without running averages, to be called within a module's `__call__`.

    While training, or where no statistics are given, it normalises by the batch at hand; momentum 0
    makes its `batch_stats` exactly those of that batch (see `gdlab.problems.networks`).
    """
    return nn.BatchNorm(use_running_average=not train, momentum=0.0, name=name)


def check_dropout(rate: float) -> float:
    """`rate` where it is in [0, 1); raises ValueError otherwise."""
    if not 0 <= rate < 1:
        raise ValueError(f"dropout = {rate!r} is not allowed; it must be in [0, 1)")
    return rate


def activation_function(name: str) -> Callable:
    """The function of flax.linen called `name`, one of ACTIVATIONS; raises ValueError for another."""
    if name not in ACTIVATIONS:
        close = difflib.get_close_matches(str(name), ACTIVATIONS, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ValueError(
            f"activation = {name!r} is not allowed; it must be one of {', '.join(ACTIVATIONS)}.{hint}"
        )
    return getattr(nn, name)


def _pads(image, kernel, strides, padding):
    pads = (
        jax.lax.padtype_to_pads(image, kernel, strides, padding)
        if isinstance(padding, str)
        else [tuple(pair) for pair in padding]
    )
    padded = tuple(size + sum(pair) for size, pair in zip(image, pads, strict=True))
    if any(size < extent for size, extent in zip(padded, kernel, strict=True)):
        raise ValueError(
            f"a kernel of {tuple(kernel)} does not fit into an image of {tuple(image)} "
            f"with padding {padding!r}"
        )
    return pads


def _patches(x, kernel, strides, pads, ones):
    """Of x [C, H, W, B] shifted images, in the kernel's order of entries: [rows * columns * C, H', W', B].

    `ones`: with one more row of ones, which multiplies the bias.
    """
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    channels, height, width, batch = x.shape
    rows, columns = (height - kernel[0]) // strides[0], (width - kernel[1]) // strides[1]

    def shifted(i, j):
        stop = (channels, i + rows * strides[0] + 1, j + columns * strides[1] + 1, batch)
        return jax.lax.slice(x, (0, i, j, 0), stop, (1, *strides, 1))

    parts = [shifted(i, j) for i in range(kernel[0]) for j in range(kernel[1])]
    if ones:
        parts.append(jnp.ones((1, *parts[0].shape[1:]), x.dtype))
    return jnp.concatenate(parts)
