"""The training loop, optimizers, checkpoints and their retention, CUDA graphs."""
