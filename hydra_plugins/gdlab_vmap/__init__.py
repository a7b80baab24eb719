"""`hydra/launcher=vmap`: jobs of a sweep that differ in numbers and seeds alone as one program.

The processes of other launchers (joblib, submitit, ray) compose configs without having passed through
gdlab's own entry; they import the plugins, and so know gdlab's resolvers.
"""

from gdlab.commands import resolvers

resolvers.register()
