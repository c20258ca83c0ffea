"""Reports on a bisection."""
