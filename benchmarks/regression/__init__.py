"""Regression tests of results: comparison of a run with a baseline, and of one run with another."""
