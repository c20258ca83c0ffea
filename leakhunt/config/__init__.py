"""Files that people write, strictly read."""
