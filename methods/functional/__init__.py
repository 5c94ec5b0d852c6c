"""Pure functions that method declarations refer to: losses, random draws, tensor helpers."""
