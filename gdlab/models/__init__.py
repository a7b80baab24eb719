"""Networks: flax.linen modules made by factories with plain arguments."""

from gdlab.models.autoencoder import Autoencoder, autoencoder, galaxy
from gdlab.models.dense import Dense, mlp
from gdlab.models.hamid import CIFAR10Quick, hamid_cifar, hamid_mnist
from gdlab.models.layers import Conv, max_pool
from gdlab.models.lenet import LeNet, lenet5, modified_lenet, tiny_cnn, tiny_nn
from gdlab.models.resnet import ResNet, resnet18, resnet20, resnet50
from gdlab.models.transformer import Transformer, gpt
from gdlab.models.vgg_blocks import VGG, vgg

__all__ = [
    "VGG",
    "Autoencoder",
    "CIFAR10Quick",
    "Conv",
    "Dense",
    "LeNet",
    "ResNet",
    "Transformer",
    "autoencoder",
    "galaxy",
    "gpt",
    "hamid_cifar",
    "hamid_mnist",
    "lenet5",
    "max_pool",
    "mlp",
    "modified_lenet",
    "resnet18",
    "resnet20",
    "resnet50",
    "tiny_cnn",
    "tiny_nn",
    "vgg",
]
