"""A TLS handshake in memory, between a server's context and a client's."""

import ssl
from pathlib import Path


def trusting(root_pem: str) -> ssl.SSLContext:
    """Returns a client context that trusts only one root, as strictly as Python 3.13."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root_pem)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = None
) -> ssl.SSLObject:
    """Does a handshake, and returns the client's end.

    Args:
        name: the server name to send and verify; an IP address is only verified.

    Raises:
        ssl.SSLError: one of them rejects the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = {asking, answering}
    while waiting:
        for end in (asking, answering):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.discard(end)
    return asking


def names_of(connection: ssl.SSLObject) -> list[str]:
    """Returns the names in the server's certificate."""
    shown = connection.getpeercert()
    assert shown is not None
    return [value for _, value in shown["subjectAltName"]]


def write_pem(path: Path, *texts: str) -> Path:
    """Writes PEM texts to a file."""
    path.write_text("".join(texts))
    return path


def hello(name: bytes) -> bytes:
    """Returns the ClientHello of a TLS 1.2 client for any server name."""
    length = len(name)
    asked = b"%b%b\0%b%b" % (
        (length + 5).to_bytes(2),
        (length + 3).to_bytes(2),
        length.to_bytes(2),
        name,
    )
    extensions = b"\0\0" + asked + b"\0\x0a\0\x04\0\x02\0\x17" + b"\0\x0d\0\x04\0\x02\x04\x03"
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\xc0\x2b" + b"\1\0"
    body += len(extensions).to_bytes(2) + extensions
    message = b"\1" + len(body).to_bytes(3) + body
    return b"\x16\x03\1" + len(message).to_bytes(2) + message
