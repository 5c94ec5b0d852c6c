"""How the `streets` dataset is drawn: scenes in metres (`scene`), their parts, their light, and the picture (`render`)."""
