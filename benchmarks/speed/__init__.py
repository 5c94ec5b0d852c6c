"""Speed benchmark: cgbench against a reference step and the machine's peak, and the overhead of whole runs."""
