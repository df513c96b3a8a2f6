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
from ovh_proxy.tls.certificates import server_context, stamp_of
from ovh_proxy.tls.issuer import LeafIssuer

_WRITABLE_BY_OTHERS = 0o022


class AuthorityFiles:
    """A directory of their own, whose owner alone may look into it.

    Attributes:
        private: the key with its certificates, in one file, so that no half of it can be there.
        public: the root, for clients.
    """

    def __init__(
        self, state_directory: Path, wait_s: float = WAIT_S, user: int | None = None
    ) -> None:
        """
        Args:
            wait_s: how long another writer is waited for.
            user: the number of whom they are for; None is who runs this process.
        """
        self._directory = state_directory / "ca"
        self._wait_s = wait_s
        self._user = getattr(os, "geteuid", int)() if user is None else user
        self.private = self._directory / "key.pem"
        self.public = self._directory / "ca.pem"

    def keep(self, make: Callable[[], tuple[str, str]], *, replaces: bool = False) -> None:
        """Makes the files where there are none; processes that do so at once make one.

        Args:
            make: gives the text of both, the private one first.
            replaces: whether those that are there make place.

        Raises:
            CommandFailed: they cannot be written, or are not safe there.
        """
        if not replaces and os.path.lexists(self.private):
            return
        with self._writing():
            if replaces or not os.path.lexists(self.private):
                private, public = make()
                replace_file(self.private, private.encode())
                replace_file(self.public, public.encode())

    def read(self) -> str:
        """The text of the private file.

        Raises:
            CommandFailed: it cannot be read, or others can.
        """
        with suppress(OSError):  # the next line tells what is wrong
            self._check_directory()
        try:
            return read_text(str(self.private), private=True, or_allow=False)
        except Unreadable as failure:
            raise CommandFailed(f"{self.private} {failure}") from failure

    def publish(self, public: str) -> None:
        """Mends the public file where it is not that of the private one, as after a crash.

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
                f"the certificate authority cannot be written to {self._directory} "
                f"({os.strerror(failure.errno or 0)}); set {STATE_VARIABLE} to a directory of yours"
            ) from failure

    def _check_directory(self) -> None:
        """Raises where another user could have put what is there, or could change it."""
        if sys.platform == "win32":  # pragma: no cover - owners and modes say nothing there
            return
        # A link belongs to who made it: in a directory for all, such as /tmp, to anybody.
        link, directory = os.lstat(self._directory), os.stat(self._directory)
        # Root is trusted, and reads for others what they have made.
        if self._user != 0 and not {link.st_uid, directory.st_uid} <= {0, self._user}:
            raise CommandFailed(
                f"{self._directory} belongs to another user; set {STATE_VARIABLE} to a directory "
                "of yours"
            )
        if directory.st_mode & _WRITABLE_BY_OTHERS:
            raise CommandFailed(
                f"others on this machine may write into {self._directory}; "
                f"run: chmod 700 {shlex.quote(str(self._directory))}"
            )


def open_authority(
    files: AuthorityFiles, now: float, *, renews: bool = False
) -> CertificateAuthority:
    """The authority, a new one where there is none.

    Args:
        renews: whether a new one takes its place.

    Raises:
        CommandFailed: it cannot be used, or made.
    """

    def make() -> tuple[str, str]:
        authority = make_authority(DEFAULT_CONSTRAINTS, now)
        return authority.private_pem(), authority.root_pem

    files.keep(make, replaces=renews)
    return read_authority(files)


def read_authority(files: AuthorityFiles) -> CertificateAuthority:
    """The authority that is there.

    Raises:
        CommandFailed: there is none, or it cannot be used.
    """
    try:
        return parse_authority(files.read())
    except ValueError as failure:
        raise CommandFailed(
            f"{files.private} cannot be used: {failure}; run: ovh-proxy ca --renew"
        ) from failure


class StoredLeafIssuer(LeafIssuer):
    """Signs with another authority once there is another."""

    def __init__(self, directory: str, now: Callable[[], float] = time.time) -> None:
        """Opens the authority, which is made where there is none.

        Args:
            directory: the state directory.

        Raises:
            CommandFailed: it cannot be used, or made.
        """
        self._files = AuthorityFiles(Path(directory))
        authority = self._usable(open_authority(self._files, now()), now())
        self._seen = stamp_of(str(self._files.private))
        super().__init__(authority, now)

    def reload_if_changed(self, log: Log) -> None:
        """Looks whether there is another."""
        stamp = stamp_of(str(self._files.private))
        if stamp != self._seen:
            self._seen = stamp
            try:
                self.sign_with(self._usable(read_authority(self._files), self._now()))
                log.write("info", "a changed authority signs", file=str(self._files.private))
            except CommandFailed as failure:
                log.write("error", f"the last authority stays: {failure}")

    def _usable(self, authority: CertificateAuthority, now: float) -> CertificateAuthority:
        if not authority.is_current(now):
            ends = authority.signer.not_valid_after_utc
            raise ListenFailed(
                f"the authority {self._files.private} is not valid now, it ends on "
                f"{ends:%Y-%m-%d}: set the clock, or run: ovh-proxy ca --renew"
            )
        return authority


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class AutoCertificates:
    """The TLS context of one listener, which finds a certificate for each handshake.

    Attributes:
        context: one and the same, whatever is renewed.
    """

    def __init__(
        self, tls: AutoTls, address: Address, now: Callable[[], float] = time.time
    ) -> None:
        """Opens the authority, which is made where there is none.

        Raises:
            CommandFailed: it cannot be used, or made.
        """
        self._issuer = StoredLeafIssuer(tls.directory, now)
        self._own = _own_names(address, self._issuer.authority)
        self.context = server_context()
        self.context.sni_callback = self._choose

    def reload_if_changed(self, log: Log) -> bool:
        """Signs with another authority where there is one; the context stays, hence False."""
        self._issuer.reload_if_changed(log)
        return False

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> int | None:
        """Puts a certificate in the place of none, in the middle of a handshake.

        A name that the authority may not sign meets the listener's own certificate: the client
        says then which name it asked for, and which it met. An alert would say neither, and
        asyncio does not send it.

        Args:
            name: that the client asked for, in ASCII; None where it did not.
        """
        asked = (name or "").lower().removesuffix(".")
        names = (asked,) if self._issuer.authority.constraints.cover(asked) else self._own
        try:
            connection.context = self._issuer.context(names)
        except OSError:  # out of descriptors, as the next accept will tell
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        return None


def _own_names(address: Address, authority: CertificateAuthority) -> tuple[str, ...]:
    """What a client may have called a listener that says no name."""
    host = address.host if isinstance(address, TcpAddress) else ""
    more = (host,) if host not in _LOOPBACK and authority.constraints.cover(host) else ()
    return _LOOPBACK + more
