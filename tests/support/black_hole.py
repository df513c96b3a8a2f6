"""Addresses that swallow connections."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest


@contextmanager
def black_hole(address: str, port: int) -> Iterator[None]:
    """Makes connections hang: the backlog of the listener is full."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket(family))
        try:
            listening.bind((address, port))
        except OSError:
            pytest.skip(f"this machine does not have the address {address}")
        listening.listen(0)
        for _ in range(4):
            filling = sockets.enter_context(socket.socket(family))
            filling.setblocking(False)
            filling.connect_ex((address, port))
        yield
