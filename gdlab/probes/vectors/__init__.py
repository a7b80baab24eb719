"""Many parameter vectors of one network: their losses, and those of a recorded path; shared by probes."""
