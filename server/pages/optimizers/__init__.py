"""The page of several optimizers on one axis."""
