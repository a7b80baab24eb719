"""The page on which recorded descents are looked at: a Bokeh server that never imports JAX."""
