"""A string that never shows itself."""

import hmac
from typing import NoReturn


class Secret:
    """Text that `repr`, `str`, f-strings, tracebacks and pickle do not reveal.

    Only `reveal` returns the text; `tests/core/test_secret.py` lists the functions that call it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, to be sent to OVHcloud or written to the credential store."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # Text from the environment may contain surrogates for bytes that are not UTF-8.
        first, second = (each._text.encode(errors="surrogatepass") for each in (self, other))
        return hmac.compare_digest(first, second)

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: it would leave the process in plain text")
