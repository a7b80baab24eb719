"""Weight decay for any optimizer that takes a learning rate, in the gradient or beside it.

Coupled decay adds rate * theta to the gradient, as half the squared length of the parameters in the
error would: an optimizer that rescales its gradients rescales the decay with them. Decoupled decay
shrinks the parameters by learning rate * rate at each step, whatever the optimizer does (Loshchilov
and Hutter 2017; around Adam it is AdamW).
"""

import optax

from gdlab.optim.checks import require


def coupled_weight_decay(*, optimizer, rate=0.0001):
    """`optimizer` on gradients to which rate * theta is added.

    Args:
      optimizer: an optax transformation without a line search.
      rate: factor of the parameters, >= 0.

    Returns:
      An optax.GradientTransformationExtraArgs.

    Raises:
      ValueError: a rate outside its range.
    """
    require("weight decay rate", rate, "rate >= 0", lambda v: v >= 0)
    return optax.chain(optax.add_decayed_weights(rate), optimizer)


def decoupled_weight_decay(*, optimizer, learning_rate, rate=0.0001):
    """`optimizer`, whose steps also shrink the parameters by learning_rate * rate.

    Args:
      optimizer: an optax transformation without a line search.
      learning_rate: that of the optimizer: a number, or a schedule k -> number.
      rate: share of the parameters, per unit of learning rate, >= 0.

    Returns:
      An optax.GradientTransformationExtraArgs.

    Raises:
      ValueError: a rate outside its range.

    Source: Loshchilov and Hutter 2017, Algorithms 1 and 2, with the decay scaled by the learning rate as in
    optax and PyTorch.
    """
    require("weight decay rate", rate, "rate >= 0", lambda v: v >= 0)
    if callable(learning_rate):
        return optax.chain(optimizer, optax.add_decayed_weights(lambda k: -rate * learning_rate(k)))
    return optax.chain(optimizer, optax.add_decayed_weights(-rate * learning_rate))
