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
    """Loads a certificate and its key from memory into a context.

    Args:
        chain: PEM of the certificate and its intermediates.
        key: PEM of its key; it leaves no copy on disk.
        descriptors: the directory of a process's descriptors, which Windows does not have.

    Raises:
        OSError: the system has no descriptors left.
    """
    as_file = _pipe if os.path.isdir(descriptors) else _temporary_file
    with ExitStack() as opened:
        chain_name, key_name = (opened.enter_context(as_file(pem)) for pem in (chain, key))
        context.load_cert_chain(chain_name, key_name)


@contextmanager
def _pipe(pem: bytes) -> Iterator[str]:
    read, write = os.pipe()
    try:
        try:
            # Nobody reads yet, so more than a pipe can hold would block forever.
            os.set_blocking(write, False)
            os.write(write, pem)
        finally:
            os.close(write)
        yield f"/dev/fd/{read}"
    finally:
        os.close(read)


@contextmanager
def _temporary_file(pem: bytes) -> Iterator[str]:
    # Readable by its owner only, closed so that OpenSSL can open it, and removed at once.
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
        context: from the last valid files.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Loads the files.

        Raises:
            ListenFailed: they cannot be read, or do not belong together.
        """
        self._files = files
        self._last_stamp = self._stamp()
        self.context = _load(files)

    def reload_if_changed(self, log: Log) -> bool:
        """Makes a new context if a file has changed; keeps the last valid one on failure.

        Returns:
            whether there is a new context.
        """
        stamp = self._stamp()
        if stamp == self._last_stamp:
            return False
        self._last_stamp = stamp
        try:
            # A new context each time: an existing one keeps removed authorities, and the sessions
            # of clients with certificates from them.
            self.context = _load(self._files)
        except ListenFailed as failure:
            log.write("error", f"certificate reload failed, keeping the previous one: {failure}")
            return False
        log.write("info", "certificate reloaded", cert=self._files.cert)
        return True

    def _stamp(self) -> tuple[tuple[int, ...] | None, ...]:
        names = (self._files.cert, self._files.key, self._files.client_ca)
        return tuple(file_stamp(name) for name in names if name is not None)


def server_context() -> ssl.SSLContext:
    """Returns a server context without a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # OpenSSL 1.1.1 lets clients renegotiate without limit.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _load(files: TlsFiles) -> ssl.SSLContext:
    context = server_context()
    try:
        context.load_cert_chain(files.cert, files.key, _no_password)
    except OSError as failure:
        raise ListenFailed(
            f"cannot use the certificate {files.cert} with the key {files.key}: "
            f"{_reason(failure, 'not PEM, a different key, or protected by a password')}"
        ) from failure
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except OSError as failure:
            raise ListenFailed(
                f"cannot use the client_ca {files.client_ca}: {_reason(failure, 'not PEM')}"
            ) from failure
        context.verify_mode = ssl.CERT_REQUIRED
        # Python 3.13 by default requires more of a private authority's certificates (a key
        # identifier in each, RFC 5280) than most have, and accepts an intermediate as an authority.
        # The file decides which clients are accepted, not the version of Python.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _no_password() -> str:
    # Without this, OpenSSL would prompt on the terminal and wait.
    return ""


def file_stamp(name: str) -> tuple[int, ...] | None:
    """Returns a value that changes when the file does; None if there is no file."""
    try:
        status = os.stat(name)
    except OSError:
        return None
    # With a changed mode, the file may be readable now.
    return status.st_ino, status.st_mtime_ns, status.st_size, status.st_mode


def _reason(failure: OSError, tls_reason: str) -> str:
    # The errno of an SSLError is not one of the system.
    if isinstance(failure, ssl.SSLError) or failure.errno is None:
        return tls_reason
    return os.strerror(failure.errno)
