"""An entry of the system's keyring: looked up in bounded time, written, deleted."""

import importlib
import threading
from collections.abc import Callable
from typing import Any

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.secret import Secret

Lookup = Callable[[str, str], str | None]


_EXTRA = "the system's keyring needs an extra; run: pip install 'ovh-proxy[keyring]'"


def ask_keyring(service: str, user: str) -> str | None:
    """The secret of an entry as the `keyring` library finds it, or None.

    Raises:
        ImportError: it is not installed.
    """
    # Imported here: it looks through every backend of the machine.
    found: str | None = importlib.import_module("keyring").get_password(service, user)
    return found


def read_entry(service: str, user: str, lookup: Lookup, limit_s: float) -> str:
    """The secret of an entry.

    Raises:
        ValueError: there is none, or nobody to ask; never shows what a backend says.
    """
    found: list[str | Exception | None] = []
    # A thread of its own, because a locked keyring waits for somebody to unlock it.
    asking = threading.Thread(target=_ask, args=(service, user, lookup, found), daemon=True)
    asking.start()
    asking.join(limit_s)
    told = found[0] if found else TimeoutError()
    match told:
        case str() if told:
            return told
        case TimeoutError():
            raise ValueError(f"the keyring did not answer within {limit_s:g} s; unlock it first")
        case ImportError():
            raise ValueError(_EXTRA)
        case Exception():
            kind = type(told).__name__
            raise ValueError(f"the keyring could not be read ({kind}); see: keyring diagnose")
    # Without their names: somebody may have put the key itself where one belongs.
    raise ValueError("the keyring has no such entry; run: keyring set SERVICE USER")


def _ask(service: str, user: str, lookup: Lookup, found: list[str | Exception | None]) -> None:
    try:
        found.append(lookup(service, user))
    except Exception as failure:  # noqa: BLE001 - every backend has errors of its own
        found.append(failure)


SERVICE = "ovh-proxy"


def write_entry(service: str, user: str, secret: Secret) -> None:
    """Writes an entry, in the place of one of that name.

    Raises:
        CommandFailed: there is no keyring, or it does not take it.
    """
    _attempt("set_password", service, user, secret.reveal())


def delete_entry(service: str, user: str) -> None:
    """Deletes an entry.

    Raises:
        CommandFailed: there is no keyring, no such entry, or it does not let go of it.
    """
    _attempt("delete_password", service, user)


def need_keyring() -> Any:
    """The library, for whoever is to fail before anything is asked for.

    Raises:
        CommandFailed: it is not installed.
    """
    try:
        return importlib.import_module("keyring")
    except ImportError as failure:
        raise CommandFailed(
            "the system's keyring needs an extra: pip install 'ovh-proxy[keyring]'"
        ) from failure


def _attempt(verb: str, service: str, user: str, *value: str) -> None:
    keyring = need_keyring()
    try:
        getattr(keyring, verb)(service, user, *value)
    except Exception as failure:
        raise CommandFailed(
            f"the system's keyring did not do it for {service} {user} "
            f"({type(failure).__name__}); is it unlocked? see: keyring diagnose"
        ) from failure
