"""Folder layouts: which folder of a directory is which set, and messages about layouts that are not complete."""
