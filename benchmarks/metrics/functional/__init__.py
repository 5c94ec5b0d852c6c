"""The arithmetic of metrics and failure modes, as pure functions."""
