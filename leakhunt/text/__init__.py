"""Texts people read, and the language they are in."""
