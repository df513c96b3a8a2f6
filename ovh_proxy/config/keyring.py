"""An entry of the system's keyring, written and deleted; the extra ovh-proxy[keyring] does it."""

import importlib
from typing import Any

from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.secret import Secret

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
