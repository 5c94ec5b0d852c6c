"""Process-level services: progress, signals, environment, memory."""
