"""Probes compute what a view shows and the record does not hold: they need parameters.

A probe is a module with `compute(replay, *, progress, **options) -> Table`. `progress(fraction, text)`
is called often; raising in it cancels the probe. Results that cost time are kept in the run folder.
"""
