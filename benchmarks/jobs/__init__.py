"""Trials side by side: how many, the processes that take them, and what those are told."""
