"""leakhunt: whether a machine-learning service in Python leaks memory, what leaks, what helps.

A scenario file imports `variant` from here; everything else is reached by the command
``leakhunt`` or through the modules named in ARCHITECTURE.md. Importing this loads neither torch nor
matplotlib.
"""

from leakhunt.scenario import Context, variant

__all__ = ["Context", "__version__", "variant"]
__version__ = "0.1.0"
