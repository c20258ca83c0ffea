"""What a matrix of runs comes to."""
