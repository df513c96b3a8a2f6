"""CONNECT through an HTTP proxy on the way, and its answer."""

import asyncio
import base64
import re
import socket

from ovh_proxy.core.errors import UpstreamBroken, UpstreamUnreachable
from ovh_proxy.core.settings import HttpProxy, TcpAddress

# curl's limit for a response to CONNECT (DYN_PROXY_CONNECT_HEADERS).
_MAX_BYTES = 16_384
_VERSION = b"HTTP/1."
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?:[ \r\n]|\Z)")
# RFC 9112 section 2.2 permits lines that end without CR, and some proxies send them.
_END = re.compile(rb"\r?\n\r?\n")


def connect_request(target: TcpAddress, proxy: HttpProxy) -> bytes:
    """The CONNECT request for a host and port.

    Source: RFC 9110 section 9.3.6.
    """
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.login is not None:
        login = proxy.login.reveal().encode(errors="surrogateescape")
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login).decode('ascii')}")
    return "\r\n".join((*lines, "", "")).encode("ascii")


def is_connected(received: bytes, target: TcpAddress, proxy: HttpProxy) -> bool:
    """Whether the proxy has accepted; False while its response is incomplete.

    Args:
        received: everything that the proxy has sent so far.

    Raises:
        UpstreamUnreachable: the proxy refuses.
        UpstreamBroken: the bytes are no response to CONNECT.
    """
    status, head, rest = 100, b"", received
    while status < 200:  # RFC 9110 section 15.2: interim responses may come first
        if not _VERSION.startswith(rest[: len(_VERSION)]):
            raise _broken(proxy, "is not HTTP/1.1")
        head, *behind = _END.split(rest, 1)
        if not behind:
            if len(received) > _MAX_BYTES:
                raise _broken(proxy, f"exceeds {_MAX_BYTES} bytes")
            return False
        (rest,) = behind
        match = _STATUS_LINE.match(head)
        if match is None:
            raise _broken(proxy, "is not HTTP/1.1")
        status = int(match[1])
    if status >= 300:
        raise _refused(status, target, proxy)
    if rest:
        # In TLS and in HTTP the client speaks first.
        raise _broken(proxy, "is followed by unexpected bytes")
    return True


def _refused(status: int, target: TcpAddress, proxy: HttpProxy) -> UpstreamUnreachable:
    message = f"the proxy {proxy.address} refused CONNECT {target} with status {status}"
    if status == 407:
        message += "; check the user and password in upstream.proxy"
    return UpstreamUnreachable(message, nothing_arrived=True)


def _broken(proxy: HttpProxy, fault: str) -> UpstreamBroken:
    message = f"the response of the proxy {proxy.address} to CONNECT {fault}"
    return UpstreamBroken(message, nothing_arrived=True)


async def open_tunnel(connected: socket.socket, target: TcpAddress, proxy: HttpProxy) -> None:
    """Asks the proxy to connect a socket to the target.

    Raises:
        UpstreamFailed: the proxy did not; nothing arrived.
        OSError: the connection to the proxy failed.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connected, connect_request(target, proxy))
    received = b""
    while not is_connected(received, target, proxy):
        piece = await loop.sock_recv(connected, _MAX_BYTES)
        if not piece:
            message = f"the proxy {proxy.address} closed the connection"
            raise UpstreamUnreachable(message, nothing_arrived=True)
        received += piece
