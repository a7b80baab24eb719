"""From a composed configuration to the problem, data, optimizer and program that it describes."""
