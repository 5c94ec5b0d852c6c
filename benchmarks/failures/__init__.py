"""Failure modes, one per file, with their detectors on translated images."""
