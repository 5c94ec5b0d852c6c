"""What a run leaves on disk, and the statistics of it."""
