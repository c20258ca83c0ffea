"""What calls take at their height, and the memory limit that allows for it."""
