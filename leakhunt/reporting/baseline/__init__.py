"""Baselines on the terminal."""
