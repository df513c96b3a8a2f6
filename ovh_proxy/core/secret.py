"""A string that never shows itself."""

import hmac
from typing import NoReturn


class Secret:
    """Text that `repr`, `str`, f-strings, tracebacks and pickle cannot reveal.

    Only `reveal` gives the text; `tests/core/test_secret.py` holds the list of files that call it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for bytes that leave for OVHcloud or the store."""
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
        # Text from the environment may hold bytes that are no UTF-8, as surrogates.
        ours, theirs = (each._text.encode(errors="surrogatepass") for each in (self, other))
        return hmac.compare_digest(ours, theirs)

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: it would leave the process in clear")
