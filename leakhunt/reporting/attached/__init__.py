"""What a visit of a running process found, for people and programs."""
