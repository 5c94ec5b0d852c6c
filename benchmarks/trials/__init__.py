"""Trials before they run: requests, suites, resolved trials, fingerprints and records."""
