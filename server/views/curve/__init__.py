"""The enhanced error curve of a run: what is sent for a viewport, its segments, its figure, its controls."""
