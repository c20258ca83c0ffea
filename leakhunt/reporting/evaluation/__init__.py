"""Tables of error rates."""
