"""Hamid et al. 2019, section 5: ensembles over learning rate and momentum on MNIST and CIFAR-10."""
