"""Loops that gdlab did not write, each recorded by a few lines.

python -m examples.plain_jax runs/plain_jax
"""
