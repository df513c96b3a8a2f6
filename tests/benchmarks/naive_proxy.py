"""A contender: a signing proxy written with aiohttp in an afternoon.

Run as `naive_proxy.py PORT UPSTREAM_ORIGIN CA_FILE`; the keys come from the environment.
"""

import hashlib
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator

from aiohttp import ClientSession, TCPConnector, web
from yarl import URL

CHUNK = 65_536
MAX_BODY = 1 << 30
NOT_FORWARDED = {"host", "connection", "keep-alive", "transfer-encoding", "content-length"}


def signature(
    secret: str, consumer_key: str, method: str, url: str, body: bytes, timestamp: int
) -> str:
    """OVHcloud's signature, as documented."""
    head = f"{secret}+{consumer_key}+{method}+{url}+".encode()
    return "$1$" + hashlib.sha1(head + body + f"+{timestamp}".encode()).hexdigest()  # noqa: S324 - OVHcloud's choice


def signed_headers(request: web.Request, url: str, body: bytes) -> dict[str, str]:
    """The client's headers, plus the headers of the signature."""
    timestamp = int(time.time())
    secret, consumer_key = os.environ["BENCH_SECRET"], os.environ["BENCH_CONSUMER_KEY"]
    kept = {
        key: value for key, value in request.headers.items() if key.lower() not in NOT_FORWARDED
    }
    return kept | {
        "X-Ovh-Application": os.environ["BENCH_APPLICATION_KEY"],
        "X-Ovh-Consumer": consumer_key,
        "X-Ovh-Timestamp": str(timestamp),
        "X-Ovh-Signature": signature(secret, consumer_key, request.method, url, body, timestamp),
    }


def make_app(origin: str, ca_file: str) -> web.Application:
    """The application."""
    app = web.Application(client_max_size=MAX_BODY)
    session = web.AppKey("session", ClientSession)

    async def client(app: web.Application) -> AsyncIterator[None]:
        context = ssl.create_default_context(cafile=ca_file)
        async with ClientSession(
            connector=TCPConnector(ssl=context), auto_decompress=False
        ) as opened:
            app[session] = opened
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        url = origin + request.raw_path
        body = await request.read()
        async with request.app[session].request(
            request.method,
            URL(url, encoded=True),
            headers=signed_headers(request, url, body),
            data=body or None,
            allow_redirects=False,
        ) as incoming:
            headers = {
                key: value
                for key, value in incoming.headers.items()
                if key.lower() not in NOT_FORWARDED
            }
            response = web.StreamResponse(status=incoming.status, headers=headers)
            response.content_length = incoming.content_length
            await response.prepare(request)
            async for chunk in incoming.content.iter_chunked(CHUNK):
                await response.write(chunk)
            await response.write_eof()
            return response

    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


if __name__ == "__main__":
    web.run_app(
        make_app(sys.argv[2], sys.argv[3]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
    )
