"""The files of our certificate authority: what is ours alone, and what clients are given."""

import os
import shlex
import sys
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
from ovh_proxy.core.errors import CommandFailed

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
