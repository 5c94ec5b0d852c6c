"""Pairing of test images: by the names of their files, by their likeness, and the decision between the two."""
