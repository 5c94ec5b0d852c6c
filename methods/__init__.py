"""Methods: one file per family. A method is a declaration; see `cgbench.api.method`."""
