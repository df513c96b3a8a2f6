"""A consumer key that waits for validation, kept for `login --resume`."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from ovh_proxy.config.files import Unreadable, make_directory, read_text, replace_file
from ovh_proxy.config.secret_references import parse_secret
from ovh_proxy.config.sources import STATE_VARIABLE, Sources, state_directory
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.secret import Secret
from ovh_proxy.ovhcloud.auth_api import is_validation_url


@dataclass(frozen=True, slots=True)
class PendingKey:
    """A key that was asked for.

    Attributes:
        base_url: of the endpoint that it was asked at, and is shown to alone.
        rules: as they were asked for, `METHOD /path`.
        port: of the page of ours that the browser comes back to; 0 without one.
    """

    base_url: str
    consumer_key: Secret
    validation_url: str
    rules: tuple[str, ...]
    port: int = 0


def pending_path(name: str, sources: Sources) -> Path:
    """Where the key of a profile waits."""
    return state_directory(sources) / "pending" / f"{name}.yaml"


def keep_pending(path: Path, pending: PendingKey) -> None:
    """Writes it down, for its owner alone.

    Raises:
        CommandFailed: it cannot be written.
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
            f"{path} cannot be written, where the key would wait for --resume; set {STATE_VARIABLE}"
        ) from failure


def read_pending(path: Path) -> PendingKey | None:
    """The key that waits there, or None.

    Raises:
        CommandFailed: the file holds something else.
    """
    if not os.path.lexists(path):
        return None
    try:
        fields = yaml.safe_load(read_text(str(path), private=True))
        pending = PendingKey(
            str(fields["base_url"]),
            parse_secret(fields["consumer_key"]),
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
            f"{path} holds no pending key; delete it, and login without --resume"
        ) from failure
    return pending


def forget_pending(path: Path) -> None:
    """Nothing waits there any more."""
    path.unlink(missing_ok=True)
