"""What a network looks like inside at one iteration: filters, feature maps, activations, answers."""
