"""What a settled process retains, for people and programs."""
