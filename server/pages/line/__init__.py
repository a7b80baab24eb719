"""The straight line between two points of a training: what is asked, how it is drawn."""
