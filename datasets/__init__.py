"""Datasets: one file per dataset or layout; `images` reads and resizes files."""
