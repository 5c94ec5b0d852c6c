"""Conformance tests of methods, datasets, metrics and failures, for our own and for those of plug-ins."""
