"""TLS of listeners: certificates that are read again when their files change."""

import os
import ssl

from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import TlsFiles
from ovh_proxy.server.logs import Log


class Certificates:
    """The TLS context of one listener.

    Attributes:
        context: handshakes to come use the certificate loaded last.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Loads the files.

        Raises:
            ListenFailed: they cannot be read, or do not fit each other.
        """
        self._files = files
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._stamp()
        try:
            self._load()
        except (OSError, ssl.SSLError) as failure:
            raise ListenFailed(
                f"cannot use the certificate {files.cert} with the key {files.key}: {_why(failure)}"
            ) from failure

    def reload_if_changed(self, log: Log) -> bool:
        """Loads the files again where one of them is another; keeps the last good ones."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            self._load()
        except (OSError, ssl.SSLError) as failure:
            log.write(
                "error",
                "a changed certificate cannot be used; the last one stays",
                cert=self._files.cert,
                reason=_why(failure),
            )
            return False
        log.write("info", "a changed certificate was loaded", cert=self._files.cert)
        return True

    def _load(self) -> None:
        # Tried on a context of its own first: half of a pair must not get into the one in use.
        trial = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trial.load_cert_chain(self._files.cert, self._files.key, _no_password)
        self.context.load_cert_chain(self._files.cert, self._files.key, _no_password)
        if self._files.client_ca is not None:
            self.context.load_verify_locations(self._files.client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED

    def _stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        names = (self._files.cert, self._files.key, self._files.client_ca)
        return tuple(_stamp_of(name) for name in names if name is not None)


def _no_password() -> str:
    # Without an answer OpenSSL would ask for one on the terminal, and wait.
    return ""


def _stamp_of(name: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _why(failure: OSError) -> str:
    if isinstance(failure, ssl.SSLError):
        return "not PEM, or the key is not the certificate's"
    return os.strerror(failure.errno) if failure.errno else "it cannot be read"
