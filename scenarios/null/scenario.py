"""Does nothing: what is left is the instrument's own noise floor."""

from leakhunt import Context, variant

CALLS = 10_000


def setup(context: Context) -> None:
    """Nothing to set up."""


@variant
def nothing(state: None, item: int) -> None:
    """An empty call; live heap and Python blocks must not move after the warm-up."""
