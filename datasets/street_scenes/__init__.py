"""How the `streets` dataset is drawn: scenes in metres (`scene`), their parts, light, and the picture (`render`)."""
