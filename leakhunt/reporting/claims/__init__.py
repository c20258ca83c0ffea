"""Reports on claims that were checked."""
