"""Line searches as jitted functions that see only phi(eta) -> (value, slope)."""

from gdlab.linesearch.search import SearchResult, two_phase

__all__ = ["SearchResult", "two_phase"]
