"""Files that we write and read back."""
