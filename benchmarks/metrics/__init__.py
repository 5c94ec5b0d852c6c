"""Metrics: one file per family. None imports torch."""
