"""Translation methods, one file per family, as declarations (see `cgbench.api.method`)."""
