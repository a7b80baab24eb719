"""Optimizers as optax gradient transformations; what optax has is used from optax."""

from gdlab.optim.betas import (
    dai_kou,
    dai_yuan,
    fletcher_reeves,
    hager_zhang,
    hestenes_stiefel,
    polak_ribiere,
    polak_ribiere_plus,
)
from gdlab.optim.decay import coupled_weight_decay, decoupled_weight_decay
from gdlab.optim.descend import Minimum, minimize
from gdlab.optim.limited_memory import LbfgsState, lbfgs, limited_memory_conjugate_gradient
from gdlab.optim.nonlinear_cg import ConjugateGradientState, conjugate_gradient, fast_conjugate_gradient
from gdlab.optim.resilient import irprop_minus, irprop_plus, rprop_minus, rprop_plus
from gdlab.optim.search_state import value_and_grad_from_state

__all__ = [
    "ConjugateGradientState",
    "LbfgsState",
    "Minimum",
    "conjugate_gradient",
    "coupled_weight_decay",
    "dai_kou",
    "dai_yuan",
    "decoupled_weight_decay",
    "fast_conjugate_gradient",
    "fletcher_reeves",
    "hager_zhang",
    "hestenes_stiefel",
    "irprop_minus",
    "irprop_plus",
    "lbfgs",
    "limited_memory_conjugate_gradient",
    "minimize",
    "polak_ribiere",
    "polak_ribiere_plus",
    "rprop_minus",
    "rprop_plus",
    "value_and_grad_from_state",
]
