"""An entry of the system's keyring: looked up in bounded time, written, deleted."""

import importlib
import threading
from collections.abc import Callable
from typing import Any

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.redaction import shown
from ovh_proxy.core.secret import Secret

Lookup = Callable[[str, str], str | None]
_EXTRA = "the keyring library is not installed; run: pip install 'ovh-proxy[keyring]'"


def look_up(service: str, user: str) -> str | None:
    """The secret of an entry in the `keyring` library, or None.

    Raises:
        ImportError: it is not installed.
    """
    # Imported here: it searches all backends of the machine.
    found: str | None = importlib.import_module("keyring").get_password(service, user)
    return found


def read_entry(service: str, user: str, lookup: Lookup, limit_s: float) -> str:
    """The secret of an entry.

    Raises:
        ValueError: there is none, or no keyring; never shows the error of a backend.
    """
    found: list[str | Exception | None] = []
    # In a thread, because a locked keyring waits until it is unlocked.
    thread = threading.Thread(target=_look_up, args=(service, user, lookup, found), daemon=True)
    thread.start()
    thread.join(limit_s)
    result = found[0] if found else TimeoutError()
    match result:
        case str() if result:
            return result
        case TimeoutError():
            raise ValueError(f"the keyring did not respond within {limit_s:g} s; unlock it first")
        case ImportError():
            raise ValueError(_EXTRA)
        case Exception():
            kind = type(result).__name__
            raise ValueError(f"cannot read the keyring ({kind}); run: keyring diagnose")
    # Without the names: the key itself may have been written in their place.
    raise ValueError("the keyring has no such entry; run: keyring set SERVICE USER")


def _look_up(service: str, user: str, lookup: Lookup, found: list[str | Exception | None]) -> None:
    try:
        found.append(lookup(service, user))
    except Exception as failure:  # noqa: BLE001 - each backend has other errors
        found.append(failure)


SERVICE = "ovh-proxy"


def write_entry(service: str, user: str, secret: Secret) -> None:
    """Writes or replaces an entry.

    Raises:
        CommandFailed: there is no keyring, or it rejects the entry.
    """
    _attempt("set_password", service, user, secret.reveal())


def delete_entry(service: str, user: str) -> None:
    """Deletes an entry.

    Raises:
        CommandFailed: there is no keyring or no such entry, or it cannot be deleted.
    """
    _attempt("delete_password", service, user)


def require_keyring() -> Any:
    """The keyring library.

    Raises:
        CommandFailed: it is not installed.
    """
    try:
        return importlib.import_module("keyring")
    except ImportError as failure:
        raise CommandFailed(_EXTRA) from failure


def _attempt(verb: str, service: str, user: str, *value: str) -> None:
    keyring = require_keyring()
    try:
        getattr(keyring, verb)(service, user, *value)
    except Exception as failure:
        raise CommandFailed(
            f"cannot change the keyring entry {shown(service)} {shown(user)} "
            f"({type(failure).__name__}); unlock the keyring, or run: keyring diagnose"
        ) from failure
