"""What the memory of a fleet does, for people and programs."""
