"""Augmentation: images changed at random, as a pure function of the step's key.

It belongs to the error function of training, so that a replayed step sees the same images, and a line
search sees the same images at every step width.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

OPTIONS = ("flip", "shift")
_STREAM = 1  # folded into the step's key: dropout draws from the key itself


def augmentation(options: Mapping[str, Any] | None, shape: tuple[int, ...]) -> Callable | None:
    """Returns (key, x [B, H, W, C]) -> x changed at random, or None where the options change nothing.

    flip   true: half of the images are mirrored left to right
    shift  n: each image is moved by -n to n pixels in both directions, all equally likely; what comes in
           is 0, the training set's mean (He et al. 2016, section 4.2: n = 4 and flips for CIFAR-10)
    shape  of the dataset's examples, (H, W, C)

    Raises ValueError for an unknown option or a value that is not allowed.
    """
    options = dict(options or {})
    for name in options:
        if name not in OPTIONS:
            close = difflib.get_close_matches(str(name), OPTIONS, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise ValueError(f"augment has no option {name!r}; it has {', '.join(OPTIONS)}.{hint}")
    flip, shift = options.get("flip", False), options.get("shift", 0)
    if not isinstance(flip, bool):
        raise ValueError(f"augment: flip = {flip!r} is not allowed; it must be true or false")
    if isinstance(shift, bool) or not isinstance(shift, int) or shift < 0:
        raise ValueError(
            f"augment: shift = {shift!r} is not allowed; it must be a whole number of pixels >= 0"
        )
    if not (flip or shift):
        return None
    if len(shape) != 3 or shift >= min(shape[:2]):
        raise ValueError(
            f"augment: flip = {flip}, shift = {shift} need images [H, W, C] larger than the shift; "
            f"the examples have shape {tuple(shape)}"
        )

    def augment(key, x):
        for_flip, for_shift = jax.random.split(jax.random.fold_in(key, _STREAM))
        if flip:
            mirrored = jax.random.bernoulli(for_flip, shape=(len(x), 1, 1, 1))
            x = jnp.where(mirrored, x[:, :, ::-1], x)
        return _shifted(for_shift, x, shift) if shift else x

    return augment


def _shifted(key, x, shift):
    padded = jnp.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
    offset = jax.random.randint(key, (len(x), 2), 0, 2 * shift + 1)

    def crop(image, at):
        return jax.lax.dynamic_slice(image, (at[0], at[1], 0), x.shape[1:])

    return jax.vmap(crop)(padded, offset)
