"""Speed and scale, beside others in one run; nothing here is asserted."""
