"""The validation view: error rates of clusters, classes and single images over the dumps."""
