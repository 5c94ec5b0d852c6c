"""The command line, the runner, the one training loop, evaluation and metrics."""
