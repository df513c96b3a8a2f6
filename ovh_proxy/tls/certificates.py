"""TLS contexts of listeners from PEM files, reloaded when they change, or from memory."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import TlsFiles
from ovh_proxy.logs import Log


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


class FileCertificates:
    """The TLS context of one listener.

    Attributes:
        context: made of the files as they last were good.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Loads the files.

        Raises:
            ListenFailed: they cannot be read, or do not fit each other.
        """
        self._files = files
        self._seen = self._stamp()
        self.context = _load(files)

    def reload_if_changed(self, log: Log) -> bool:
        """Makes another context where one of the files is another; keeps the last good one."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            # A new one each time: a context never forgets an authority that was taken out, nor
            # the sessions of clients that it had vouched for.
            self.context = _load(self._files)
        except ListenFailed as failure:
            log.write("error", f"the last certificate stays: {failure}")
            return False
        log.write("info", "a changed certificate was loaded", cert=self._files.cert)
        return True

    def _stamp(self) -> tuple[tuple[int, ...] | None, ...]:
        names = (self._files.cert, self._files.key, self._files.client_ca)
        return tuple(stamp_of(name) for name in names if name is not None)


def server_context() -> ssl.SSLContext:
    """What all TLS that we serve has in common; without a certificate yet."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # OpenSSL 1.1.1 lets a client ask for one handshake after another.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _load(files: TlsFiles) -> ssl.SSLContext:
    context = server_context()
    try:
        context.load_cert_chain(files.cert, files.key, _no_password)
    except OSError as failure:
        raise ListenFailed(
            f"cannot use the certificate {files.cert} with the key {files.key}: "
            f"{_why(failure, 'no PEM, another key, or one that needs a password')}"
        ) from failure
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except OSError as failure:
            raise ListenFailed(
                f"cannot use the client_ca {files.client_ca}: {_why(failure, 'no PEM')}"
            ) from failure
        context.verify_mode = ssl.CERT_REQUIRED
        # By default Python 3.13 asks more of a private authority's certificates (a key identifier
        # in each, RFC 5280) than most of them have, and takes one beneath a root for an authority.
        # Whom a file lets in is for the file to say, not for the version of Python.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _no_password() -> str:
    # Without an answer OpenSSL would ask for one on the terminal, and wait.
    return ""


def stamp_of(name: str) -> tuple[int, ...] | None:
    """What tells a file from the one that was there before; None where there is none."""
    try:
        found = os.stat(name)
    except OSError:
        return None
    # Another mode may mean that it can be read now.
    return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def _why(failure: OSError, unfit: str) -> str:
    # OpenSSL's errors have numbers of their own.
    if isinstance(failure, ssl.SSLError) or failure.errno is None:
        return unfit
    return os.strerror(failure.errno)
