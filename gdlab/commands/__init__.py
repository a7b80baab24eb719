"""What the command line adds to Hydra: names of folders, sweeps, tasks, and answers to mistakes."""
