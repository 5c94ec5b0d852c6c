"""The renderer of the `streets` dataset: scenes in metres (`scene`), their parts, light, and the image (`render`)."""
