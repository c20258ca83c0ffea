"""Nouns in, bytes out; by what is reported."""
