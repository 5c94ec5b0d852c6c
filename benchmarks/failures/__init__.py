"""Ways to fail, one per file: each is detected in translated images."""
