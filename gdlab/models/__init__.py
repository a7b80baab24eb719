"""Networks: flax.linen modules made by factories with plain arguments."""

from gdlab.models.autoencoder import Autoencoder, galaxy
from gdlab.models.dense import Dense, mlp
from gdlab.models.layers import Conv, max_pool
from gdlab.models.lenet import LeNet, lenet5, modified_lenet

__all__ = ["Autoencoder", "Conv", "Dense", "LeNet", "galaxy", "lenet5", "max_pool", "mlp", "modified_lenet"]
