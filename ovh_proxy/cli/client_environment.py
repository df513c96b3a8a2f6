"""Environment variables of clients: those that lead to the proxy, in any shell's syntax; those that hold keys."""  # noqa: E501 - the caption in one line

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from ovh_proxy.cli.options import option
from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.redaction import alternatives
from ovh_proxy.core.settings import Store

Assigned = Mapping[str, str]
Unset = tuple[str, ...]
# Characters that every reader of .env files takes literally, without quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=,~\[\]-]*")


def _shell(assigned: Assigned, unset: Unset) -> str:
    def line(name: str, text: str) -> str:
        return f"export {name}={shlex.quote(text)}"

    return _lines(assigned, unset, line, "unset ")


def _fish(assigned: Assigned, unset: Unset) -> str:
    def line(name: str, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}'"

    return _lines(assigned, unset, line, "set -e ")


def _powershell(assigned: Assigned, unset: Unset) -> str:
    def line(name: str, text: str) -> str:
        escaped = text.replace("'", "''")
        return f"$env:{name} = '{escaped}'"

    return _lines(assigned, unset, line, "Remove-Item Env:")


def _dotenv(assigned: Assigned, unset: Unset) -> str:
    # Readers differ in quotes: docker takes them as a part of the value. It may be a token, so the
    # error does not repeat it.
    for name, text in assigned.items():
        if not _PLAIN.fullmatch(text):
            raise UsageError(
                f"--format dotenv: the value of {name} has characters that need quotes; "
                "use another --format"
            )
    return "\n".join(f"{name}={text}" for name, text in assigned.items())


def _json(assigned: Assigned, unset: Unset) -> str:
    return json.dumps({**assigned, **dict.fromkeys(unset)}, indent=2)


def _lines(
    assigned: Assigned, unset: Unset, line: Callable[[str, str], str], unset_command: str
) -> str:
    # Other names are skipped: a shell could run them.
    names = [name for name in unset if name.isascii() and name.isidentifier()]
    return "\n".join(
        [*(unset_command + name for name in names), *(line(*pair) for pair in assigned.items())]
    )


FORMATS: Mapping[str, Callable[[Assigned, Unset], str]] = MappingProxyType(
    {
        "shell": _shell,
        "fish": _fish,
        "powershell": _powershell,
        "dotenv": _dotenv,
        "json": _json,
    }
)
"""Format: a function that writes variables with their values, and names to unset, as text."""

# Prefixes, because names end in `_ID`, `_SECRET`, or `_FILE`, as lego names a file with the value.
_PREFIXES = (
    # The SDKs, lego, terraform, pulumi, external-dns.
    *("OVH_APPLICATION_", "OVH_CONSUMER_", "OVH_CLIENT_", "OVH_ACCESS_"),
    # A convention of scripts around node-ovh, and of dnscontrol.
    "OVH_APP_",
    "LEXICON_OVH_",
)

_NAMES = frozenset(
    {
        *("OVH_ENDPOINT", "OVH_ENDPOINT_FILE", "OVH_PROFILE"),
        # acme.sh.
        *("OVH_AK", "OVH_AS", "OVH_CK", "OVH_END_POINT"),
    }
)

_OURS = "OVH_PROXY_"


def is_key(name: str) -> bool:
    """Whether clients read a key or an endpoint from this variable."""
    return name in _NAMES or name.startswith(_PREFIXES)


def without_keys(environ: Mapping[str, str], variables: Iterable[str]) -> dict[str, str]:
    """The environment without keys, endpoints, and our own variables.

    Args:
        variables: those that the store refers to; removed, too.
    """
    referenced = frozenset(variables)
    return {
        name: value
        for name, value in environ.items()
        if not (name in referenced or name.startswith(_OURS) or is_key(name))
    }


F = TypeVar("F", bound=Callable[..., Any])


def made_up_keys_option(command: str) -> Callable[[F], F]:
    """The flag of a command."""
    return option(
        "--made-up-keys",
        "For clients that support neither URLs nor tokens: OVH_ENDPOINT is a name, such as ovh-eu, "
        "and OVH_APPLICATION_KEY and similar variables contain made-up keys.",
        command,
        is_flag=True,
    )


def endpoint_name(store: Store, profile: str | None) -> str | None:
    """The name of a profile's endpoint, as clients know it; None for a base URL.

    Args:
        profile: None for the default profile.

    Raises:
        UsageError: there is no such profile.
    """
    found = store.profiles.get(profile) if profile else store.default_profile
    if found is None:
        names = alternatives(store.profiles) if store.profiles else "a name"
        raise UsageError(
            f"--made-up-keys needs the endpoint of a profile; use --profile with {names}"
        )
    return found.endpoint.name if found.endpoint.name in ENDPOINTS else None


# For clients that require keys: the proxy ignores what they sign with it.
PLACEHOLDER_KEY = "made-up"
_USER = "ovh-proxy"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ProxyAccess:
    """What clients need to use a proxy.

    Attributes:
        url: scheme, host and port.
        token: the client token; None if the proxy requires none.
        endpoint: an endpoint name, for clients that do not support URLs; None if unknown, or if
            the endpoint has no name.
        has_keys: whether clients get made-up application keys instead of a token.
        intercepts: whether the proxy terminates TLS for connections to OVHcloud's hosts.
    """

    url: str
    token: str | None = field(repr=False)
    endpoint: str | None = None
    has_keys: bool = False
    intercepts: bool = True


def variables(
    access: ProxyAccess, environ: Mapping[str, str], hosts: Iterable[str]
) -> dict[str, str]:
    """The variables that point clients to the proxy, the most important ones first.

    Args:
        environ: the current environment, for the exceptions in its NO_PROXY.
        hosts: hosts of OVHcloud, which no exception may exclude.
    """
    assigned = _key_variables(access) if access.has_keys else _token_variables(access)
    assigned["OVH_PROXY_URL"] = access.url
    if access.intercepts:
        upstream_hosts = tuple(host for host in hosts if host not in _LOOPBACK)
        assigned |= _proxy_variables(access, environ, upstream_hosts)
    return assigned


def _token_variables(access: ProxyAccess) -> dict[str, str]:
    # For go-ovh and programs that use it. It rejects a second kind of credential beside a token.
    return {
        "OVH_ENDPOINT": f"{access.url}/1.0",
        "OVH_ACCESS_TOKEN": access.token or PLACEHOLDER_KEY,
    }


def _key_variables(access: ProxyAccess) -> dict[str, str]:
    """Keys under all names that clients require; the application key is the client token."""
    endpoint = access.endpoint or f"{access.url}/1.0"
    token = access.token or PLACEHOLDER_KEY
    keys = {
        # The SDKs, octodns, terraform, lego and external-dns, old versions included.
        "OVH_ENDPOINT": endpoint,
        "OVH_APPLICATION_KEY": token,
        "OVH_APPLICATION_SECRET": PLACEHOLDER_KEY,
        "OVH_CONSUMER_KEY": PLACEHOLDER_KEY,
        # A convention of scripts around node-ovh.
        "OVH_APP_KEY": token,
        "OVH_APP_SECRET": PLACEHOLDER_KEY,
        # acme.sh. It saves its keys to a file, so the token is not among them.
        "OVH_END_POINT": endpoint,
        "OVH_AK": PLACEHOLDER_KEY,
        "OVH_AS": PLACEHOLDER_KEY,
        "OVH_CK": PLACEHOLDER_KEY,
    }
    if access.endpoint is None:  # lexicon only supports names
        return keys
    return keys | {
        "LEXICON_OVH_AUTH_ENTRYPOINT": endpoint,
        "LEXICON_OVH_AUTH_APPLICATION_KEY": token,
        "LEXICON_OVH_AUTH_APPLICATION_SECRET": PLACEHOLDER_KEY,
        "LEXICON_OVH_AUTH_CONSUMER_KEY": PLACEHOLDER_KEY,
    }


def _proxy_variables(
    access: ProxyAccess, environ: Mapping[str, str], hosts: tuple[str, ...]
) -> dict[str, str]:
    """HTTPS_PROXY and related variables, in both spellings: clients differ in which one they read.

    HTTP_PROXY is not changed, because OVHcloud's hosts only use TLS.
    """
    scheme, _, address = access.url.partition("://")
    login = "" if access.token is None else f"{_USER}:{quote(access.token, safe='')}@"
    proxy, direct = f"{scheme}://{login}{address}", _no_proxy(access, environ, hosts)
    return {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": direct,
        "no_proxy": direct,
        # Node.js ignores HTTPS_PROXY without this.
        "NODE_USE_ENV_PROXY": "1",
        # So does Perl's LWP.
        "PERL_LWP_ENV_PROXY": "1",
    }


def _no_proxy(access: ProxyAccess, environ: Mapping[str, str], hosts: tuple[str, ...]) -> str:
    """Hosts that clients connect to directly: the proxy itself, and the present exceptions."""
    present = ",".join(environ.get(name, "") for name in ("NO_PROXY", "no_proxy"))
    entries = [entry for entry in present.replace(" ", ",").split(",") if entry]
    own = urlsplit(access.url).hostname or ""
    kept = (entry for entry in entries if not _matches_any(entry, hosts))
    return ",".join(dict.fromkeys((*_LOOPBACK, own, *kept)))


def _matches_any(entry: str, hosts: tuple[str, ...]) -> bool:
    """Whether any client could apply an exception to any of the hosts.

    Compares suffixes, as requests does, and ignores the port, unlike Go.
    """
    name = entry.lower().partition(":")[0].lstrip("*.")
    return any(host.endswith(name) for host in hosts) if name else "*" in entry or "." in entry
