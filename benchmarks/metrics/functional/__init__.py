"""Arithmetic of metrics and failure modes, as pure functions."""
