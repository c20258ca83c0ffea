"""What calls take at their peak, and the memory limit that allows for it."""
