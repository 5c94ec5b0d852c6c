"""Published tables beside the measured ones."""
