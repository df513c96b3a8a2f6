"""Hands a certificate and its key to OpenSSL from memory; Python's `ssl` takes files only."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


def load_chain(
    context: ssl.SSLContext, chain: bytes, key: bytes, descriptors: str = "/dev/fd"
) -> None:
    """Gives a context its certificate.

    Args:
        chain: PEM of the certificate and those between it and a root.
        key: PEM of its key; no copy of it stays on a disk.
        descriptors: where a process finds its own, unless it runs on Windows or without /dev.

    Raises:
        OSError: the system has no descriptors left.
    """
    readable = _in_a_pipe if os.path.isdir(descriptors) else _in_a_file
    with ExitStack() as opened:
        chain_name, key_name = (opened.enter_context(readable(pem)) for pem in (chain, key))
        context.load_cert_chain(chain_name, key_name)


@contextmanager
def _in_a_pipe(pem: bytes) -> Iterator[str]:
    read, write = os.pipe()
    try:
        try:
            # Nobody reads it yet: what is more than a pipe holds would wait for ever.
            os.set_blocking(write, False)
            os.write(write, pem)
        finally:
            os.close(write)
        yield f"/dev/fd/{read}"
    finally:
        os.close(read)


@contextmanager
def _in_a_file(pem: bytes) -> Iterator[str]:
    # Made for its owner alone, closed so that OpenSSL may open it, and gone at once.
    descriptor, name = tempfile.mkstemp()
    try:
        with open(descriptor, "wb") as file:
            file.write(pem)
        yield name
    finally:
        os.unlink(name)
