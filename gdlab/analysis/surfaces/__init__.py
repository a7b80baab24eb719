"""The loss surface around a training path: planes through it, parameters on them, numbers about them.

rows.py     a path too large for memory, read in blocks
pca.py      its principal directions        plane.py    planes and where the path lies on them
grid.py     the points of a picture         weights.py  from points to parameters, one formula
surroundings.py  all of these from options  fidelity.py how far a picture can be trusted

Pure functions on arrays; nothing here knows a run folder or imports JAX. The losses themselves are those of
`gdlab.probes.vectors.losses`. Source: Kuchta 2023, section 6.4.
"""
