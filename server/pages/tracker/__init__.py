"""Classes, layers and filters through a training: what the tracker's views share, and their parts."""
