"""Data: decoded images, their cache, and batches."""
