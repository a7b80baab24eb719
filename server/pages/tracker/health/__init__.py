"""The health of a training: losses and errors, distributions and steps of every layer, warnings."""
