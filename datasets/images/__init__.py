"""Image files: what their headers say, which are refused, and how they are decoded and resized."""
