"""What filters and images are called, in every view alike.

A filter is called by its layer and its position in it, from 0, as its pictures are numbered; an image by its
position in the test part of the data, from 0, where the dumps tell it.
"""

import numpy as np


def filter_name(dumps, position: int) -> str:
    """LAYER N of a filter, given its position among all filters of the network."""
    node = dumps.nodes[int(dumps.layer_of_filter()[position])]
    return f"{node.name} {position - node.first:,}"


def within_layer(dumps, positions) -> np.ndarray:
    """Positions of filters [n] in their layers, given those among all filters of the network."""
    positions = np.asarray(positions, int)
    first = np.array([node.first for node in dumps.nodes], int)
    return positions - first[dumps.layer_of_filter()[positions]]


def image_number(dumps, image: int) -> int:
    """Position of an image in the test part; among the images of the dumps where these do not tell."""
    return int(dumps.images[image]) if len(dumps.images) else int(image)
