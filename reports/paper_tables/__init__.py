"""Published tables beside measured results."""
