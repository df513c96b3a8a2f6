"""Imports: in one go without garbage collection; aiohttp with its C parser."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ovh_proxy.core.errors import UsageError

# Garbage collection starts after this many more allocations than deallocations; CPython's default
# is 700. Requests leave no garbage cycles, and the collections took a twentieth of their time.
_GC_THRESHOLD = 10_000


@contextmanager
def loading() -> Iterator[None]:
    """Disables garbage collection in the block, then exempts all existing objects from it.

    Modules, classes and functions stay until exit. Scanning them a dozen times during imports takes
    a tenth of the start-up time and finds nothing. After the block, collections are rarer.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)
        gc.enable()


def require_c_parser() -> None:
    """Raises if aiohttp would use its Python parser: less strict and many times slower.

    Raises:
        UsageError: it says what to do.
    """
    if os.environ.get("AIOHTTP_NO_EXTENSIONS"):
        raise UsageError("unset AIOHTTP_NO_EXTENSIONS: ovh-proxy needs aiohttp's strict C parser")
    with loading(), _without_system_authorities():
        from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

    if HttpRequestParser is HttpRequestParserPy:  # pragma: no cover - every wheel has it
        raise UsageError("aiohttp is installed without its C parser; reinstall it from a wheel")


@contextmanager
def _without_system_authorities() -> Iterator[None]:
    """Imports aiohttp's client, which is not used, without any certificate authority."""
    # On import it creates two TLS contexts and parses the system's authorities for each, as slow as
    # importing all of our own modules. `upstream/connector.py` loads the authorities itself, later.
    if "aiohttp" in sys.modules:
        yield
        return
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before
