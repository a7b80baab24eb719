"""The page of an ensemble: runs over a grid of hyper-parameters, under one selection (Hamid 2019)."""
