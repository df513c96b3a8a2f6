"""A client that says exactly what it is told to say, on a connection of its own."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

BOUND_S = 10.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """All that came until the connection ended.

    Attributes:
        text: every byte, interim answers included.
    """

    text: bytes

    @property
    def head(self) -> bytes:
        return self.text.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.text.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        return int(self.text[9:12])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b": ")
            if key.lower() == name.lower().encode():
                return value.decode("latin-1")
        return None

    @property
    def code(self) -> str | None:
        """What `X-Ovh-Proxy-Error` says."""
        return self.header("X-Ovh-Proxy-Error")


def request(target: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request whose answer ends the connection."""
    fields = (
        [*lines]
        if any(line.lower().startswith("host:") for line in lines)
        else [
            "Host: localhost",
            *lines,
        ]
    )
    if body:
        fields.append(f"Content-Length: {len(body)}")
    head = [f"{method} {target} HTTP/1.1", *fields, "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


async def say(url: str, text: bytes) -> RawAnswer:
    """Sends bytes and reads until the connection ends, be it by a reset."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    try:
        writer.write(text)
        async with asyncio.timeout(BOUND_S):
            while piece := await reader.read(65_536):
                received += piece
    except ConnectionError:
        pass
    finally:
        writer.close()
    return RawAnswer(received)
