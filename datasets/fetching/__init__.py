"""Fetching public sets: the catalogue, a download that goes on where it broke, and archives unpacked with care."""
