"""A consumer key that waits for validation, kept for `login --resume`."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from ovh_proxy.config.files import Unreadable, make_directory, read_text, replace_file
from ovh_proxy.config.secret_references import parse_key
from ovh_proxy.config.sources import STATE_VARIABLE, Sources, state_directory
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.secret import Secret
from ovh_proxy.ovhcloud.auth_api import is_validation_url


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A requested key.

    Attributes:
        base_url: of the endpoint that the key was requested from; the key is sent to no other.
        rules: as requested, `METHOD /path`.
        port: of the callback page that the browser returns to; 0 without one.
    """

    base_url: str
    consumer_key: Secret
    validation_url: str
    rules: tuple[str, ...]
    port: int = 0


def pending_path(name: str, sources: Sources) -> Path:
    """The path of the pending key of a profile."""
    return state_directory(sources) / "pending" / f"{name}.yaml"


def write_pending(path: Path, pending: PendingKey) -> None:
    """Writes a pending key to a private file.

    Raises:
        CommandFailed: the file cannot be written.
    """
    fields = {
        "base_url": pending.base_url,
        "consumer_key": pending.consumer_key.reveal(),
        "validation_url": pending.validation_url,
        "rules": list(pending.rules),
        "port": pending.port,
    }
    try:
        make_directory(path.parent)
        replace_file(path, yaml.safe_dump(fields, sort_keys=False).encode())
    except OSError as failure:
        raise CommandFailed(
            f"cannot write the pending key for --resume to {path}; set {STATE_VARIABLE} to a "
            "writable directory"
        ) from failure


def read_pending(path: Path) -> PendingKey | None:
    """The pending key of a file, or None.

    Raises:
        CommandFailed: the file has no valid key.
    """
    if not os.path.lexists(path):
        return None
    try:
        fields = yaml.safe_load(read_text(str(path), private=True))
        pending = PendingKey(
            str(fields["base_url"]),
            parse_key(fields["consumer_key"]),
            str(fields["validation_url"]),
            tuple(map(str, fields["rules"])),
            int(fields["port"]),
        )
        if not is_validation_url(pending.validation_url) or not 0 <= pending.port < 65536:
            raise ValueError
    except Unreadable as failure:
        raise CommandFailed(f"{path} {failure}") from failure
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as failure:
        raise CommandFailed(
            f"{path} has no valid pending key; delete it, and log in without --resume"
        ) from failure
    return pending


def delete_pending(path: Path) -> None:
    """Deletes a pending key."""
    path.unlink(missing_ok=True)
