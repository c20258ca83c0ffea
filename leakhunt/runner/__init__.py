"""The parent of a worker: it starts, limits and follows it, and never imports user code."""
