"""The real server on free ports, an upstream that records every byte, and a client that sends
exact bytes."""

import asyncio
import io
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import pytest_asyncio
from support.otlp import OtlpReceiver, otlp_receiver

from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import (
    Address,
    Listener,
    Profile,
    Settings,
    Store,
    TcpAddress,
    UnixAddress,
)
from ovh_proxy.logs import Log
from ovh_proxy.server.serve import Announcement, ShutdownRequest, serve

# Nothing takes longer unless it hangs.
BOUND_S = 5.0

APPLICATION_SECRET = "MadeUpApplicationSecretOfTests00"
CONSUMER_KEY = "MadeUpConsumerKeyOfTests00000000"
_SIGNATURE_HEADERS = (
    "x-ovh-application",
    "x-ovh-consumer",
    "x-ovh-timestamp",
    "x-ovh-signature",
)
_NOT_TO_CROSS = frozenset(
    {
        "authorization",
        "connection",
        "cookie",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_STRICT_HEAD = re.compile(
    rb"[A-Z][A-Z-]* /[!-~]* HTTP/1\.1\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t -~\x80-\xff]*\r\n)+\r\n"
)


def parse_head(head: bytes) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    """Returns the first line, and the header fields as sent."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = tuple(line.split(b":", 1) for line in lines)
    return first, tuple((name, value.strip(b" \t")) for name, value in fields)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or response, byte for byte."""

    head: bytes
    body: bytes

    @property
    def first_line(self) -> str:
        return parse_head(self.head)[0].decode("latin-1")

    @property
    def method(self) -> str:
        return self.first_line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.first_line.split(" ")[1]

    @property
    def status(self) -> int:
        return int(self.first_line.split(" ")[1])

    @property
    def fields(self) -> tuple[tuple[bytes, bytes], ...]:
        return parse_head(self.head)[1]

    def values(self, name: str) -> list[str]:
        """All values of a field, whatever its spelling."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.fields if key.lower() == wanted]

    def value(self, name: str) -> str | None:
        """The first value of a field, or None."""
        return next(iter(self.values(name)), None)

    @property
    def code(self) -> str | None:
        """What `X-Ovh-Proxy-Error` says."""
        return self.value("X-Ovh-Proxy-Error")

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def offences(self) -> list[str]:
        """Returns what a strict server would reject in this request."""
        found = [] if _STRICT_HEAD.fullmatch(self.head) else ["the head is not strictly valid"]
        names = [name.decode().lower() for name, _ in self.fields]
        found += [f"{name} crossed" for name in _NOT_TO_CROSS.intersection(names)]
        once = ["host", *([] if self.target.startswith("/1.0/auth/") else _SIGNATURE_HEADERS)]
        found += [f"{name} is not there once" for name in once if names.count(name) != 1]
        if names.count("content-length") > 1:
            found.append("two lengths")
        return found


async def read_message(
    reader: asyncio.StreamReader, *, has_body: bool = True, until_close: bool = False
) -> Message:
    """Reads one message, framed as its head says.

    Raises:
        IncompleteReadError, ConnectionError: it broke off.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    message = Message(head, b"")
    length = message.value("Content-Length")
    if not has_body:
        return message
    if message.value("Transfer-Encoding") == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        assert await reader.readexactly(2) == b"\r\n"
    elif length is None:
        body = await reader.read() if until_close else b""
    else:
        body = await reader.readexactly(int(length))
    return replace(message, body=body)


class Conversation:
    """A connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *pieces: bytes) -> None:
        """Sends bytes without waiting."""
        for piece in pieces:
            self.writer.write(piece)

    async def send_slowly(self, text: bytes, size: int = 1) -> None:
        """Sends a few bytes at a time, so that the server reads them separately."""
        for start in range(0, len(text), size):
            self.writer.write(text[start : start + size])
            # The server runs in this loop, and reads in the next iteration.
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def answer(self, method: str = "GET") -> Message:
        """Returns the next response."""
        async with asyncio.timeout(BOUND_S):
            return await read_message(self.reader, has_body=method != "HEAD", until_close=True)

    async def exactly(self, text: bytes) -> bytes:
        """Reads as many bytes as `text` has."""
        async with asyncio.timeout(BOUND_S):
            return await self.reader.readexactly(len(text))

    async def rest(self) -> bytes:
        """Returns everything until the connection ends, without what a reset discarded."""
        async with asyncio.timeout(BOUND_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def ends_cleanly(self) -> bool:
        """Whether the connection ends without further bytes and without a reset."""
        async with asyncio.timeout(BOUND_S):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return False

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return

    def abort(self) -> None:
        """Disconnects with a reset."""
        self.writer.transport.abort()


Answering = Callable[[Message, "UpstreamSide"], Awaitable[None]]


@dataclass
class UpstreamSide:
    """The upstream's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()

    def end(self) -> None:
        self.writer.close()


class RawUpstream:
    """An API that records requests as bytes, and sends the responses of a test.

    Attributes:
        requests: all received requests, without those for the clock.
        answering: writes the response to one request.
        open: open connections.
        tells_time: whether it serves `/auth/time`; times_told: how often it did.
    """

    def __init__(self) -> None:
        self.requests: list[Message] = []
        self.answering: Answering = self._echo
        self.open = 0
        self.tells_time = True
        self.times_told = 0
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def answers(self, *pieces: bytes, ends: bool = False) -> None:
        """Answers every request with these bytes, and optionally closes the connection."""

        async def answering(_: Message, side: UpstreamSide) -> None:
            for piece in pieces:
                await side.write(piece)
            if ends:
                side.end()

        self.answering = answering

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Waits until a condition is true."""
        async with asyncio.timeout(BOUND_S), self._changed:
            await self._changed.wait_for(is_so)

    @property
    def offences(self) -> list[str]:
        return [offence for request in self.requests for offence in request.offences()]

    async def _echo(self, request: Message, side: UpstreamSide) -> None:
        body = f"{request.method} {request.target}".encode()
        shown = b"" if request.method == "HEAD" else body
        await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), shown))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.open += 1
        try:
            while not writer.is_closing():
                await self._take(await read_message(reader), UpstreamSide(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.close()
            async with self._changed:
                self._changed.notify_all()

    async def _take(self, request: Message, side: UpstreamSide) -> None:
        if request.target == "/1.0/auth/time" and self.tells_time:
            now = b"%d" % time.time()
            await side.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(now), now))
            self.times_told += 1
            async with self._changed:
                self._changed.notify_all()
            return
        self.requests.append(request)
        async with self._changed:
            self._changed.notify_all()
        await self.answering(request, side)


class LogText(io.StringIO):
    """A log stream that signals each record."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


@dataclass
class ProxyServer:
    """The server under test, as `ovh-proxy run` starts it."""

    announcements: list[Announcement]
    log: LogText
    stop: ShutdownRequest
    serving: asyncio.Task[bool]
    conversations: list[Conversation] = field(default_factory=list)

    @property
    def addresses(self) -> list[str]:
        """The URLs of the listeners."""
        return [announcement.url for announcement in self.announcements]

    @property
    def port(self) -> int:
        return int(self.addresses[0].rpartition(":")[2])

    @property
    def records(self) -> list[dict[str, Any]]:
        """All log records."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The log records of requests."""
        return [record for record in self.records if record["message"] == "request"]

    async def connect(self, listener: int = 0, *, limit: int = 2**16) -> Conversation:
        """Opens a connection to one of the listeners."""
        address = self.addresses[listener]
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            path = "\0" + path[1:] if path.startswith("@") else path
            ends = await asyncio.open_unix_connection(path, limit=limit)
        else:
            host, _, port = address.removeprefix("http://").rpartition(":")
            ends = await asyncio.open_connection(host.strip("[]"), int(port), limit=limit)
        self.conversations.append(Conversation(*ends))
        return self.conversations[-1]

    async def ask(self, text: bytes, listener: int = 0) -> Message:
        """Returns the response to one request on a new connection."""
        conversation = await self.connect(listener)
        conversation.send(text)
        return await conversation.answer(text.partition(b" ")[0].decode("latin-1"))

    async def until_logged(self, count: int = 1) -> list[dict[str, Any]]:
        """Waits for the log records of this many requests, and returns them."""
        async with asyncio.timeout(BOUND_S):
            while len(self.requests) < count:
                self.log.written.clear()
                await self.log.written.wait()
        return self.requests

    async def end(self) -> bool:
        """Stops the server if needed; returns whether the shutdown was clean."""
        if not self.stop.requested.is_set():
            self.stop()
        async with asyncio.timeout(BOUND_S):
            return await self.serving


Start = Callable[..., Awaitable[ProxyServer]]


def profile_of(port: int, name: str = "personal", **changes: Any) -> Profile:
    """Returns a profile with made-up application keys."""
    credential = ApplicationCredential(
        Secret("MadeUpAppKey0000"), Secret(APPLICATION_SECRET), Secret(CONSUMER_KEY)
    )
    endpoint = parse_endpoint(f"http://127.0.0.1:{port}/1.0")
    return replace(Profile(name, endpoint, credential), **changes)


@pytest.fixture
def make_profile(upstream: RawUpstream) -> Callable[..., Profile]:
    """Makes profiles for the upstream."""
    return lambda name="personal", **changes: profile_of(upstream.port, name, **changes)


@pytest.fixture
def make_store() -> Callable[..., Store]:
    """Makes a store of profiles."""

    def make(*profiles: Profile, default: str | None = None) -> Store:
        named = MappingProxyType({profile.name: profile for profile in profiles})
        return Store(named, default, "tests")

    return make


@pytest.fixture
def request_bytes() -> Callable[..., bytes]:
    """Makes the bytes of a request to localhost."""

    def make(target: str = "/me", method: str = "GET", *lines: str, body: bytes = b"") -> bytes:
        head = [f"{method} {target} HTTP/1.1", "Host: localhost", *lines]
        if body:
            head.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*head, "", ""]).encode("latin-1") + body

    return make


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[RawUpstream]:
    """An upstream that records every byte."""
    started = RawUpstream()
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
def kept_loggers() -> Any:
    """Restores the loggers of libraries, which `serve` turns off for its process."""
    names = ("asyncio", "aiohttp", "aiohttp.server", "aiohttp.access", "aiohttp.internal")
    loggers = [logging.getLogger(name) for name in (*names, "aiohttp.web")]
    before = [(logger, logger.handlers[:], logger.propagate, logger.disabled) for logger in loggers]
    yield
    for logger, handlers, propagate, disabled in before:
        logger.handlers[:] = handlers
        logger.propagate, logger.disabled = propagate, disabled


@pytest_asyncio.fixture
async def start(upstream: RawUpstream, kept_loggers: None) -> AsyncIterator[Start]:
    """Starts servers: `await start(listen=…, timeouts=…)`, any field of the settings."""
    proxy_servers: list[ProxyServer] = []

    async def starting(*, form: str = "json", level: str = "debug", **changes: Any) -> ProxyServer:
        store = Store(
            MappingProxyType({"personal": profile_of(upstream.port)}), "personal", "tests"
        )
        settings = Settings(store=store, listen=(Listener(TcpAddress("127.0.0.1", 0)),))
        settings = replace(settings, **changes)
        log, stop = LogText(), ShutdownRequest()
        announcements: list[Announcement] = []
        wanted = len(settings.listen) + (settings.admin_listen is not None)
        accepts = asyncio.Event()

        def announce(announcement: Announcement) -> None:
            announcements.append(announcement)
            if len(announcements) == wanted:
                accepts.set()

        serving = asyncio.ensure_future(serve(settings, Log(level, form, log), announce, stop))
        accepting = asyncio.ensure_future(accepts.wait())
        await asyncio.wait(
            (serving, accepting), timeout=BOUND_S, return_when=asyncio.FIRST_COMPLETED
        )
        accepting.cancel()
        if serving.done():
            await serving  # raises
        proxy_servers.append(ProxyServer(announcements, log, stop, serving))
        if upstream.tells_time and settings.store.default_profile is not None:
            # A shutdown during the very first connection would leave its socket open.
            await upstream.until(lambda: upstream.times_told >= len(proxy_servers))
        return proxy_servers[-1]

    yield starting
    for proxy_server in proxy_servers:
        for conversation in proxy_server.conversations:
            conversation.abort()
        proxy_server.stop()
        proxy_server.stop()
        await proxy_server.serving
    await asyncio.sleep(0)  # lets the transports close their sockets


@pytest_asyncio.fixture
async def proxy_server(start: Start) -> ProxyServer:
    """A server with the default settings, on TCP."""
    return await start()


@pytest.fixture
def intercepting(start: Start, tmp_path: Path) -> Start:
    """Starts servers in HTTP-proxy mode, like `start`."""

    async def starting(**changes: Any) -> ProxyServer:
        return await start(intercept=True, state_directory=str(tmp_path), **changes)

    return starting


@pytest.fixture
def host(upstream: RawUpstream) -> str:
    """The host of the endpoint, as clients name it."""
    return f"127.0.0.1:{upstream.port}"


@pytest.fixture
def unix_listener(tmp_path: Path) -> Listener:
    """A unix socket in a temporary directory."""
    address: Address = UnixAddress(str(tmp_path / "proxy.sock"))
    return Listener(address)


@pytest_asyncio.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[OtlpReceiver]:
    """A collector of spans, set in OpenTelemetry's environment variables."""
    async with otlp_receiver() as receiver:
        for name, value in receiver.env.items():
            monkeypatch.setenv(name, value)
        yield receiver
