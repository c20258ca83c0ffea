"""What is shown of a run as it goes."""
