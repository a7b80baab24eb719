"""Analyses: what can be learned from the record alone.

Each takes Tables (or plain arrays) and returns Tables; NumPy is all they need. Nothing here reads a
file, knows a view or imports JAX, so an analysis can be used in a notebook as it is used in a page.
"""
