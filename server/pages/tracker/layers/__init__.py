"""The layer view: the network's structure beside a chart per module, block or layer, down to filters."""
