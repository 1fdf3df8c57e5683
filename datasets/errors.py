"""The one error that bad input raises."""


class InputError(ValueError):
    """Input that cannot be used; the message names the place and says why, in one line."""
