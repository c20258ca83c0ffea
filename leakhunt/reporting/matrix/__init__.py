"""Reports on a matrix."""
