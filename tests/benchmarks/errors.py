"""What stops a measurement on purpose."""


class CannotMeasureError(Exception):
    """Something is missing, did not start, or answered what it should not.

    The text says what, and what to do.
    """
