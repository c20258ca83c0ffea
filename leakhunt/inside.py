"""The name that `leakhunt.agent` had before: services that name it keep working for a release."""

from leakhunt.agent import listen

__all__ = ["listen"]
