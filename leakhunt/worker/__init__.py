"""The measured process: it calls and reads, and never judges."""
