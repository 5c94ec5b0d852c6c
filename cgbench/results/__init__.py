"""The files that a run leaves on disk, and the statistics of them."""
