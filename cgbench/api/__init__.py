"""The declarations of components, and their registries."""
