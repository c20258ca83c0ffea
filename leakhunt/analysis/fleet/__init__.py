"""From series that were measured elsewhere to a verdict on each instance. Pure."""
