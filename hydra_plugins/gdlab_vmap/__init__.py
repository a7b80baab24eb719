"""`hydra/launcher=vmap`: jobs of a sweep that differ in numbers and seeds alone as one program."""
