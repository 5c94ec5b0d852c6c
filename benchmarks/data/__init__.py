"""Decoded images, the cache of them, and batches."""
