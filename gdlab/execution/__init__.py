"""A training from its plan to its run folder and back: recording, resuming, replaying, probing."""
