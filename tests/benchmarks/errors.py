"""The exception that stops a measurement."""


class CannotMeasureError(Exception):
    """Something is missing, did not start, or answered incorrectly.

    The text says what is wrong and what to do.
    """
