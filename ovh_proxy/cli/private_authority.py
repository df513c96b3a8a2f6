"""The authority of `exec`: in memory, for as long as its command runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.name_constraints import (
    DEFAULT_CONSTRAINTS,
    NameConstraints,
    is_host_name,
    parse_ip,
)
from ovh_proxy.core.settings import Store
from ovh_proxy.tls.authority import CertificateAuthority, make_authority


def private_constraints(store: Store) -> NameConstraints:
    """What `tls: auto` is bound to, the OAuth2 token hosts, and the hosts of the store.

    People log in at the token hosts: only an authority whose key is in no file, and which one
    command alone trusts, may vouch for them.
    """
    hosts = tuple(dict.fromkeys(_hosts(store)))
    names = (host for host in hosts if parse_ip(host) is None and is_host_name(host))
    addresses = (host for host in hosts if parse_ip(host) is not None)
    return replace(
        DEFAULT_CONSTRAINTS,
        names=tuple(dict.fromkeys((*DEFAULT_CONSTRAINTS.names, *names))),
        networks=(*DEFAULT_CONSTRAINTS.networks, *map(ip_network, addresses)),
    )


def _hosts(store: Store) -> Iterator[str]:
    """The hosts of all that is intercepted."""
    for endpoint in ENDPOINTS.values():
        yield _host_of(endpoint.base_url)
        if endpoint.token_url is not None:
            yield _host_of(endpoint.token_url)
    for profile in store.profiles.values():
        yield _host_of(profile.endpoint.base_url)


def _host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def new_authority(store: Store) -> CertificateAuthority:
    """An authority whose key is in no file."""
    return make_authority(private_constraints(store), time.time())


@contextmanager
def private_directory(within: Path | None = None) -> Iterator[Path]:
    """A directory that nobody else looks into; it goes with all that is in it.

    Args:
        within: None is the system's place for what is temporary.

    Raises:
        CommandFailed: it cannot be made.
    """
    try:
        made = TemporaryDirectory(prefix="ovh-proxy-", dir=within, ignore_cleanup_errors=True)
    except OSError as failure:
        raise CommandFailed(
            "there is no directory for the certificates that the command is to trust; "
            "set TMPDIR to one that can be written to"
        ) from failure
    with made as directory:
        yield Path(directory)
