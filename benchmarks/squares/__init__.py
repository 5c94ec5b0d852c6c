"""Decoded images of one size, kept on disk: sets of squares, what decides their pixels, where they lie."""
