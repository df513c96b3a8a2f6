"""An upstream that records requests, for the tests of the benchmark itself."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLOCK = "/1.0/auth/time"


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it was received.

    Attributes:
        headers: by name in lower case.
    """

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Recorder:
    """The port, and all received requests except those for `/auth/…`."""

    port: int = 0
    received: list[Received] = field(default_factory=list)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Serves until the end of the block."""
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if not self.path.startswith("/1.0/auth/"):
                headers = {key.lower(): value for key, value in self.headers.items()}
                recorder.received.append(Received(self.command, self.path, headers, body))
            text = str(int(time.time())).encode() if self.path == CLOCK else b'{"firstname":"Ada"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorder.port = server.server_address[1]
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield recorder
        finally:
            server.shutdown()
            serving.join(10)
