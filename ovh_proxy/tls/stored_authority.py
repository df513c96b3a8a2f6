"""The authority in the state directory: its files, its issuer, the certificates of `tls: auto`."""

import os
import shlex
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ovh_proxy.config.files import (
    WAIT_S,
    Unreadable,
    locked,
    make_directory,
    read_text,
    replace_file,
)
from ovh_proxy.config.sources import STATE_VARIABLE
from ovh_proxy.core.errors import CommandFailed, ListenFailed
from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS
from ovh_proxy.core.settings import Address, AutoTls, TcpAddress
from ovh_proxy.logs import Log
from ovh_proxy.tls.authority import CertificateAuthority, make_authority, parse_authority
from ovh_proxy.tls.certificates import file_stamp, server_context
from ovh_proxy.tls.issuer import LeafIssuer

_WRITABLE_BY_OTHERS = 0o022
_SET_DIRECTORY = f"set {STATE_VARIABLE} to a directory that you own"


class AuthorityFiles:
    """The files of the authority, in a directory that only its owner can read.

    Attributes:
        private: key and certificates, in one file so that they always match.
        public: the root, for clients.
    """

    def __init__(
        self, state_directory: Path, wait_s: float = WAIT_S, user: int | None = None
    ) -> None:
        """
        Args:
            wait_s: how long to wait for another writer.
            user: user ID of the owner; None for the user of this process.
        """
        self._directory = state_directory / "ca"
        self._wait_s = wait_s
        self._user = getattr(os, "geteuid", int)() if user is None else user
        self.private = self._directory / "key.pem"
        self.public = self._directory / "ca.pem"

    def create(self, make: Callable[[], tuple[str, str]], *, replaces: bool = False) -> None:
        """Creates the files if they are missing; concurrent processes create them once.

        Args:
            make: returns the text of both files, the private one first.
            replaces: replace existing files.

        Raises:
            CommandFailed: they cannot be written, or the directory is not safe.
        """
        if not replaces and os.path.lexists(self.private):
            return
        with self._writing():
            if replaces or not os.path.lexists(self.private):
                private, public = make()
                replace_file(self.private, private.encode())
                replace_file(self.public, public.encode())

    def read(self) -> str:
        """Returns the text of the private file.

        Raises:
            CommandFailed: it cannot be read, or other users can read it.
        """
        with suppress(OSError):  # the next line reports the problem
            self._check_directory()
        try:
            return read_text(str(self.private), private=True, or_allow=False)
        except Unreadable as failure:
            raise CommandFailed(f"{self.private} {failure}") from failure

    def publish(self, public: str) -> None:
        """Repairs the public file if it does not match the private one, as after a crash.

        Raises:
            CommandFailed: it cannot be written.
        """
        with suppress(Unreadable):
            if read_text(str(self.public)) == public:
                return
        with self._writing():
            replace_file(self.public, public.encode())

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            make_directory(self._directory)
            self._check_directory()
            with locked(self.private, self._wait_s):
                yield
        except OSError as failure:
            raise CommandFailed(
                f"cannot write the certificate authority to {self._directory} "
                f"({os.strerror(failure.errno or 0)}); {_SET_DIRECTORY}"
            ) from failure

    def _check_directory(self) -> None:
        """Raises CommandFailed if another user could have written the files, or could do so."""
        if sys.platform == "win32":  # pragma: no cover - owners and modes mean nothing there
            return
        # Check the owner of a link, too: in a shared directory such as /tmp it could be anybody.
        link, directory = os.lstat(self._directory), os.stat(self._directory)
        # Root is trusted, and may read the files of other users.
        if self._user != 0 and not {link.st_uid, directory.st_uid} <= {0, self._user}:
            raise CommandFailed(f"{self._directory} belongs to another user; {_SET_DIRECTORY}")
        if directory.st_mode & _WRITABLE_BY_OTHERS:
            raise CommandFailed(
                f"other users can write to {self._directory}; "
                f"run: chmod 700 {shlex.quote(str(self._directory))}"
            )


def open_authority(
    files: AuthorityFiles, now: float, *, renews: bool = False
) -> CertificateAuthority:
    """Returns the stored authority, and makes one if there is none.

    Args:
        renews: replace an existing one.

    Raises:
        CommandFailed: it cannot be used, or made.
    """

    def make() -> tuple[str, str]:
        authority = make_authority(DEFAULT_CONSTRAINTS, now)
        return authority.private_pem(), authority.root_pem

    files.create(make, replaces=renews)
    return read_authority(files)


def read_authority(files: AuthorityFiles) -> CertificateAuthority:
    """Returns the stored authority.

    Raises:
        CommandFailed: there is none, or it cannot be used.
    """
    try:
        return parse_authority(files.read())
    except ValueError as failure:
        raise CommandFailed(
            f"cannot use {files.private}: {failure}; run: ovh-proxy ca --renew"
        ) from failure


class StoredLeafIssuer(LeafIssuer):
    """An issuer with the stored authority, reloaded when its file changes."""

    def __init__(self, directory: str, now: Callable[[], float] = time.time) -> None:
        """Opens the authority, and makes one if there is none.

        Args:
            directory: the state directory.

        Raises:
            CommandFailed: it cannot be used, or made.
        """
        self._files = AuthorityFiles(Path(directory))
        authority = self._checked(open_authority(self._files, now()), now())
        self._last_stamp = file_stamp(str(self._files.private))
        super().__init__(authority, now)

    def reload_if_changed(self, log: Log) -> None:
        """Switches to the authority on disk if its file has changed and it is valid."""
        stamp = file_stamp(str(self._files.private))
        if stamp != self._last_stamp:
            self._last_stamp = stamp
            try:
                self.sign_with(self._checked(read_authority(self._files), self._now()))
                log.write("info", "certificate authority reloaded", file=str(self._files.private))
            except CommandFailed as failure:
                log.write(
                    "error",
                    f"certificate authority reload failed, keeping the previous one: {failure}",
                )

    def _checked(self, authority: CertificateAuthority, now: float) -> CertificateAuthority:
        if not authority.is_current(now):
            ends = authority.signer.not_valid_after_utc
            raise ListenFailed(
                f"the certificate authority {self._files.private} is not valid now (it expires on "
                f"{ends:%Y-%m-%d}): check the system clock, or run: ovh-proxy ca --renew"
            )
        return authority


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class AutoCertificates:
    """The TLS context of one listener, which issues certificates by the requested name.

    Attributes:
        context: stays the same when the authority is renewed.
    """

    def __init__(
        self, tls: AutoTls, address: Address, now: Callable[[], float] = time.time
    ) -> None:
        """Opens the authority, and makes one if there is none.

        Raises:
            CommandFailed: it cannot be used, or made.
        """
        self._issuer = StoredLeafIssuer(tls.directory, now)
        self._default_names = _default_names(address, self._issuer.authority)
        self.context = server_context()
        self.context.sni_callback = self._select_certificate

    def reload_if_changed(self, log: Log) -> bool:
        """Reloads the authority if its file has changed; returns False: the context stays."""
        self._issuer.reload_if_changed(log)
        return False

    def _select_certificate(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        """Selects the certificate during a handshake.

        For a name that the authority may not sign, it is the listener's default certificate: the
        error of the client then shows both names. An alert would show neither, and asyncio does
        not send one.

        Args:
            name: the name that the client requested, in ASCII, if any.
        """
        requested = (name or "").lower().removesuffix(".")
        names = (
            (requested,)
            if self._issuer.authority.constraints.cover(requested)
            else self._default_names
        )
        try:
            connection.context = self._issuer.context(names)
        except OSError:  # out of descriptors; the next accept logs it
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None


def _default_names(address: Address, authority: CertificateAuthority) -> tuple[str, ...]:
    """Returns the names of the certificate for clients that request no name."""
    host = address.host if isinstance(address, TcpAddress) else ""
    more = (host,) if host not in _LOOPBACK and authority.constraints.cover(host) else ()
    return _LOOPBACK + more
