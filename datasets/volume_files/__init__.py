"""Volumes: reading, orienting, masking and writing them, and which patient they are of."""
