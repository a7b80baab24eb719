"""Liu 2018 (DeepTracker), section 8: classes, layers and filters over the training of a network."""
