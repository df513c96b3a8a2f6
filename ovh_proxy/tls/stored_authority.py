"""Leaf certificates of the authority in the state directory, which may be renewed."""

import time
from collections.abc import Callable
from pathlib import Path

from ovh_proxy.core.errors import CommandFailed, ListenFailed
from ovh_proxy.logs import Log
from ovh_proxy.server.kept_authority import open_authority, read_authority
from ovh_proxy.store.authority_files import AuthorityFiles
from ovh_proxy.tls.authority import CertificateAuthority
from ovh_proxy.tls.certificates import stamp_of
from ovh_proxy.tls.issuer import LeafIssuer


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
