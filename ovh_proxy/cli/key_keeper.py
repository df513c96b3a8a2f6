"""Where a login keeps what it gets: a new profile, the key that waits, the key itself."""

from collections.abc import Mapping

from ovh_proxy.cli.login_input import Account
from ovh_proxy.cli.login_key import Outcome
from ovh_proxy.cli.waiting import UNVALIDATED
from ovh_proxy.config.keyring import SERVICE, need_keyring
from ovh_proxy.config.secret_references import Reference
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.errors import UsageError
from ovh_proxy.credential_store.pending_keys import (
    PendingKey,
    forget_pending,
    keep_pending,
    pending_path,
    read_pending,
)
from ovh_proxy.credential_store.writer import StoreWriter, Value, refuse_elsewhere


class KeyStorage:
    """Writes for one profile.

    Raises:
        CommandFailed: the key could not be kept where it is to be kept.
    """

    def __init__(self, account: Account, sources: Sources, in_keyring: bool) -> None:
        self._account = account
        self._name = account.profile.name
        self._pending = pending_path(self._name, sources)
        self._writer = StoreWriter(account.unresolved.path, sources)
        self._into = Reference("keyring", (SERVICE, self._name)) if in_keyring else None
        # Before anything is asked for, and anybody goes to a browser for nothing.
        kept = self._into or account.unresolved.kept(self._name)
        refuse_elsewhere(self._name, kept)
        if kept is not None and kept.kind == "keyring":
            need_keyring()

    @property
    def resume_command(self) -> str:
        return f"ovh-proxy login --resume --profile {self._name}"

    def start(self, pending: PendingKey) -> None:
        """Keeps a key that waits, and the profile that it is for."""
        if self._account.is_new:
            # OVHcloud knows the application: its keys are worth keeping, whatever comes next.
            self._writer.put_profiles({self._name: self._fields()})
        keep_pending(self._pending, pending)

    def resumed(self) -> PendingKey:
        """The key that waits.

        Raises:
            UsageError: there is none, or it is not for this profile any more.
        """
        pending = read_pending(self._pending)
        if pending is None:
            raise UsageError(f"no key of profile {self._name} waits; login without --resume")
        if pending.base_url != self._account.profile.endpoint.base_url:
            raise UsageError(
                f"the key that waits for profile {self._name} is of another endpoint; "
                "login without --resume"
            )
        return pending

    def finish(self, outcome: Outcome) -> str | None:
        """Keeps a validated key and says where; drops one that never will be valid."""
        where = None
        if outcome.is_good:
            where = self._writer.put_consumer_key(self._name, outcome.consumer_key, self._into)
        if outcome.state not in (None, UNVALIDATED):
            forget_pending(self._pending)
        return where

    def _fields(self) -> Mapping[str, Value]:
        credential = self._account.profile.credential
        assert isinstance(credential, ApplicationCredential)
        return {
            "endpoint": self._account.profile.endpoint.name,
            "application_key": credential.application_key,
            "application_secret": credential.application_secret,
        }
