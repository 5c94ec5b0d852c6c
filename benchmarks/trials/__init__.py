"""What is to be run: requests, suites, resolved trials."""
