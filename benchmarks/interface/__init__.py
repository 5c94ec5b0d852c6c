"""The Python interface: `cgbench.run`, `cgbench.open_run`, and the run that they return."""
