"""Text from outside stays text, in every format."""
