"""Training: the loop, checkpoints, numerics."""
