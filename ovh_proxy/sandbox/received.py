"""A request as it came in, byte for byte."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """What came over the wire, and what the sandbox thought of it.

    Attributes:
        target: the request target, as written: `/1.0/ip/192.0.2.0%2F24?x=`.
        version: `1.1` or `1.0`.
        headers: names and values in order and spelling, repeated ones included.
        body: as sent; undone chunks, but never decompressed.
        verdict: `signed by APPLICATION_KEY`, `token`, `unsigned`, `refused: CODE`, or `incomplete`
            when the client went away (or stopped making sense) within the body.
    """

    method: str
    target: bytes
    version: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    verdict: str = "unsigned"

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the spelling of its name."""
        return next(self._values(name), None)

    def values(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return list(self._values(name))

    def _values(self, name: str) -> Iterator[str]:
        wanted = name.lower().encode("latin-1")
        return (value.decode("latin-1") for key, value in self.headers if key.lower() == wanted)
