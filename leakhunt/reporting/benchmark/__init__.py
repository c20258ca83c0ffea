"""Reports on a benchmark of leak detectors."""
