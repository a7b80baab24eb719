"""The page of step sizes: what its cards share, and their parts."""
