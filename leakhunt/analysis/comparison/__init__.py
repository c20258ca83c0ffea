"""Runs of one version, package or machine beside those of another. Pure."""
