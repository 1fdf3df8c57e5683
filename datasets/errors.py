"""The error that bad input raises."""


class InputError(ValueError):
    """Input that cannot be used; a one-line message names the place and says why."""
