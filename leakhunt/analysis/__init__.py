"""Runs in, nouns out. Pure: no clock, no file, no process."""
