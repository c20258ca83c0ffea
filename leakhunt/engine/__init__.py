"""What the verbs do, one module a verb; doors call it."""
