"""Fetching public datasets: `cgbench datasets fetch`."""
