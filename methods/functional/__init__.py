"""Pure functions that declarations name: losses, random draws, tensor helpers."""
