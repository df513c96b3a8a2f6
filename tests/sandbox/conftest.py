"""A sandbox, and a client that sends exactly the given bytes."""

import asyncio
import hashlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import APPLICATION_KEY, APPLICATION_SECRET, CONSUMER_KEY

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """All bytes until the end of the connection."""

    raw: bytes

    @property
    def lines(self) -> list[str]:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @property
    def status(self) -> int:
        return int(self.lines[0].split(" ")[1])

    @property
    def headers(self) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in self.lines[1:])

    @property
    def body(self) -> bytes:
        rest = self.raw.partition(b"\r\n\r\n")[2]
        if self.headers.get("Transfer-Encoding") != "chunked":
            return rest
        whole = b""
        while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
            rest = rest.partition(b"\r\n")[2]
            whole, rest = whole + rest[:size], rest[size + 2 :]
        return whole

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def signature_headers(
    url: str,
    method: str = "GET",
    body: bytes = b"",
    *,
    timestamp: int | str | None = None,
    application_key: str = APPLICATION_KEY,
    application_secret: str = APPLICATION_SECRET,
    consumer_key: str = CONSUMER_KEY,
) -> list[tuple[str, str]]:
    """The four signature headers, as in OVHcloud's guide."""
    seconds = str(int(time.time()) if timestamp is None else timestamp)
    opening = "+".join((application_secret, consumer_key, method, url, "")).encode("latin-1")
    digest = hashlib.sha1(
        opening + body + f"+{seconds}".encode(), usedforsecurity=False
    ).hexdigest()
    return [
        ("X-Ovh-Application", application_key),
        ("X-Ovh-Consumer", consumer_key),
        ("X-Ovh-Timestamp", seconds),
        ("X-Ovh-Signature", f"$1${digest}"),
    ]


class Client:
    """A client with one connection per request."""

    def __init__(self, sandbox: Sandbox, tls: ssl.SSLContext | None = None) -> None:
        self._sandbox = sandbox
        self._tls = tls

    async def raw(self, *pieces: bytes, half_close: bool = False) -> ReceivedResponse:
        """Sends these bytes and reads until the end of the connection."""
        port = self._sandbox.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=self._tls)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if half_close:
                writer.write_eof()
            return ReceivedResponse(await reader.read())
        finally:
            writer.close()
            await writer.wait_closed()

    async def send(
        self, method: str, target: str, headers: Headers = (), body: bytes = b""
    ) -> ReceivedResponse:
        """Sends an unsigned request."""
        length = [("Content-Length", str(len(body)))] if body else []
        return await self.raw(request_head(self.host, method, target, [*headers, *length]) + body)

    async def call(
        self, method: str, target: str, headers: Headers = (), body: bytes = b"", **keys: Any
    ) -> ReceivedResponse:
        """Sends a signed request."""
        signature = signature_headers(f"{self._sandbox.url}{target}", method, body, **keys)
        return await self.send(method, target, [*signature, *headers], body)

    @property
    def host(self) -> str:
        """The host and port that the signature covers."""
        return f"127.0.0.1:{self._sandbox.port}"


def request_head(host: str, method: str, target: str, headers: Headers = ()) -> bytes:
    """The head of a request with `Connection: close`."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox on a free port."""
    async with Sandbox() as started:
        yield started


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    """A client of the sandbox."""
    return Client(sandbox)


@pytest.fixture
def client_of() -> type[Client]:
    """Makes clients of other sandboxes."""
    return Client


@pytest.fixture
def signed() -> Callable[..., list[tuple[str, str]]]:
    """Makes the four signature headers."""
    return signature_headers
