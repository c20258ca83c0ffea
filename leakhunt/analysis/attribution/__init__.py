"""Who keeps the memory: from findings to suspects. Pure."""

from leakhunt.analysis.attribution.attribute import attribute

__all__ = ["attribute"]
