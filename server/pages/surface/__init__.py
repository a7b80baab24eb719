"""The page of the loss surface around a training path: options, what has been computed, maps, checks."""
