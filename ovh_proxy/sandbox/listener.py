"""The listener below the API: aiohttp's low-level server, silent, on a port of its own."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

# Wide enough that a limit that a test meets is never the sandbox's.
LINE_BYTES = 262_144
HEADERS = 1024
# How long `stop` waits for a request in flight, in seconds.
GRACE = 0.05

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """Hands every request to one handler: `OPTIONS *` and paths with `%2F` too."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None) -> None:
        self.port = 0
        self._host = "127.0.0.1"
        self._handler = handler
        self._tls = tls
        self._front: web.Server | None = None
        self._sockets: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def start(self, host: str, port: int) -> None:
        """Listens; port 0 chooses one.

        Raises:
            OSError: when the address cannot be bound.
        """
        front = web.Server(
            self._handler,
            handler_cancellation=True,
            access_log=None,
            logger=silent_logger(),
            auto_decompress=False,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
            max_headers=HEADERS,
        )
        loop = asyncio.get_running_loop()
        self._sockets = await loop.create_server(front, host, port, ssl=self._tls)
        self._front, self._host = front, host
        self.port = self._sockets.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes the listener and every connection."""
        if self._sockets is None or self._front is None:
            return
        self._sockets.close()
        self._front.pre_shutdown()
        await self._front.shutdown(GRACE)
        await self._sockets.wait_closed()
        self._sockets = self._front = None


def silent_logger() -> logging.Logger:
    """A logger outside the tree: a client that goes away is no news here."""
    # In the tree, somebody's root handler would hear it all the same.
    logger = logging.Logger("ovh_proxy.sandbox")  # noqa: LOG001 - see above
    logger.addHandler(logging.NullHandler())
    return logger
