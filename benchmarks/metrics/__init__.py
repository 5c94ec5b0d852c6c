"""Metrics, one file per family. They import no torch at import time."""
