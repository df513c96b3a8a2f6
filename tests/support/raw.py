"""A client that sends exactly the given bytes, on a new connection."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

BOUND_S = 10.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """Everything received until the connection ended.

    Attributes:
        text: every byte, including interim responses.
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
        """The value of `X-Ovh-Proxy-Error`."""
        return self.header("X-Ovh-Proxy-Error")


def request(target: str, *lines: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Returns the bytes of a request with `Connection: close`."""
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
    """Sends bytes and reads until the connection is closed or reset."""
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
