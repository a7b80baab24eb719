"""What is measured of a network every so often: validation, dumps, correlations of filters."""
