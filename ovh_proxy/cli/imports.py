"""Imports: in one go without garbage collection; aiohttp with its C parser."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ovh_proxy.core.errors import UsageError

# How many objects more are made than freed before the next look for garbage; CPython's own word is
# 700. A request leaves no garbage, and the looks took a twentieth of its time.
_LOOK_EVERY = 10_000


@contextmanager
def loading() -> Iterator[None]:
    """Collects nothing before the end of the block, and never anything that was there by then.

    Modules, classes and functions stay: to look through them, a dozen times while they are made
    and at times afterwards, takes a tenth of the start and finds nothing. From then on, looks are
    rarer.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(_LOOK_EVERY)
        gc.enable()


def require_c_parser() -> None:
    """Raises where aiohttp would parse in Python: other rules, and a fraction of the speed.

    Raises:
        UsageError: it says what to do.
    """
    if os.environ.get("AIOHTTP_NO_EXTENSIONS"):
        raise UsageError("unset AIOHTTP_NO_EXTENSIONS: only aiohttp's C parser is strict enough")
    with loading(), _no_authorities():
        from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

    if HttpRequestParser is HttpRequestParserPy:  # pragma: no cover - every wheel has it
        raise UsageError("aiohttp has no C parser here; reinstall it from a wheel")


@contextmanager
def _no_authorities() -> Iterator[None]:
    """Lets aiohttp's client, which nobody here uses, trust no certificate authority."""
    # When imported it makes two TLS contexts and parses the system's authorities for each, which
    # takes as long as all of our own modules. `upstream/connector.py` reads them for itself, later.
    if "aiohttp" in sys.modules:
        yield
        return
    given = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = os.devnull
    try:
        yield
    finally:
        if given is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = given
