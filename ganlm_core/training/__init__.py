"""The training loop, and the run around it: setup, checkpoints, monitor, run folder."""
