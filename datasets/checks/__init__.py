"""Data validation: `cgbench datasets check`."""
