"""The page of one descent: its error curve, the error around it, what its line searches did."""
