"""What several subjects say alike."""
