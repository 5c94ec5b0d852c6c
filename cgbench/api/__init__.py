"""What a component declares, and where it is registered."""
