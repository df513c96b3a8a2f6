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
from ovh_proxy.core.settings import Store

Told = Mapping[str, str]

Dropped = tuple[str, ...]


# What no reader of .env files takes for more than itself, with quotes or without.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+=,~\[\]-]*")


def _shell(told: Told, dropped: Dropped) -> str:
    return _lines(told, dropped, lambda name, text: f"export {name}={shlex.quote(text)}", "unset ")


def _fish(told: Told, dropped: Dropped) -> str:
    def line(name: str, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{escaped}'"

    return _lines(told, dropped, line, "set -e ")


def _powershell(told: Told, dropped: Dropped) -> str:
    def line(name: str, text: str) -> str:
        escaped = text.replace("'", "''")
        return f"$env:{name} = '{escaped}'"

    return _lines(told, dropped, line, "Remove-Item Env:")


def _dotenv(told: Told, dropped: Dropped) -> str:
    # Readers differ in quotes: docker's takes them for a part of the value.
    for name, text in told.items():
        if not _PLAIN.fullmatch(text):
            raise UsageError(f"the value of {name} cannot stand in a .env file: {text!r}")
    return "\n".join(f"{name}={text}" for name, text in told.items())


def _json(told: Told, dropped: Dropped) -> str:
    return json.dumps({**told, **dict.fromkeys(dropped)}, indent=2)


def _lines(told: Told, dropped: Dropped, line: Callable[[str, str], str], drop: str) -> str:
    # A name that is none of a variable is left alone: a shell would run it.
    names = [name for name in dropped if name.isascii() and name.isidentifier()]
    return "\n".join([*(drop + name for name in names), *(line(*pair) for pair in told.items())])


FORMATS: Mapping[str, Callable[[Told, Dropped], str]] = MappingProxyType(
    {
        "shell": _shell,
        "fish": _fish,
        "powershell": _powershell,
        "dotenv": _dotenv,
        "json": _json,
    }
)
"""Variables with their values, and names of variables that are to go, in one text."""


# With all that follows: `_FILE`, as lego names a file that holds the value, `_SECRET`, `_ID` …
_PREFIXES = (
    # The SDKs, lego, terraform, pulumi, external-dns.
    *("OVH_APPLICATION_", "OVH_CONSUMER_", "OVH_CLIENT_", "OVH_ACCESS_"),
    # By custom, in scripts around node-ovh, and in dnscontrol's.
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
    """Whether a client would take a key from this variable, or go elsewhere by it."""
    return name in _NAMES or name.startswith(_PREFIXES)


def without_keys(environ: Mapping[str, str], variables: Iterable[str]) -> dict[str, str]:
    """The environment less what holds keys, what would lead elsewhere, and what is ours.

    Args:
        variables: that the store refers to.
    """
    dropped = frozenset(variables)
    return {
        name: value
        for name, value in environ.items()
        if not (name in dropped or name.startswith(_OURS) or is_key(name))
    }


F = TypeVar("F", bound=Callable[..., Any])


def made_up_keys_option(command: str) -> Callable[[F], F]:
    """The flag, for a command."""
    return option(
        "--made-up-keys",
        "For clients that take no URL and no token: OVH_ENDPOINT is a name, such as ovh-eu, and "
        "OVH_APPLICATION_KEY and its like are made up.",
        command,
        is_flag=True,
    )


def endpoint_name(store: Store, profile: str | None) -> str | None:
    """The name by which clients know the endpoint of a profile; None for one with a base URL.

    Args:
        profile: by its name; None is that of a request that names none.

    Raises:
        UsageError: there is no such profile.
    """
    found = store.profiles.get(profile) if profile else store.default_profile
    if found is None:
        raise UsageError("--made-up-keys needs a profile, whose endpoint is named: say --profile")
    return found.endpoint.name if found.endpoint.name in ENDPOINTS else None


# In the place of keys that a client insists on: what it signs with them is thrown away.
SANDBOX_KEY = "made-up"

_USER = "ovh-proxy"

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ProxyAccess:
    """How a proxy is reached.

    Attributes:
        url: scheme, host and port.
        token: what lets a client in; None where nothing is asked for.
        endpoint: the name of the endpoint that clients without a URL call; None for one that has
            none, or that is not known.
        has_keys: whether clients are given made-up application keys in the place of a token.
        intercepts: whether the proxy takes over connections to OVHcloud's hosts.
    """

    url: str
    token: str | None = field(repr=False)
    endpoint: str | None = None
    has_keys: bool = False
    intercepts: bool = True


def variables(
    access: ProxyAccess, environ: Mapping[str, str], hosts: Iterable[str]
) -> dict[str, str]:
    """What clients are told, in the order in which a person reads it.

    Args:
        environ: what they are told already: exceptions from the rule to use a proxy.
        hosts: of OVHcloud's, that no exception may lead past the proxy.
    """
    told = _with_keys(access) if access.has_keys else _with_token(access)
    told["OVH_PROXY_URL"] = access.url
    if access.intercepts:
        told |= _proxied(access, environ, tuple(host for host in hosts if host not in _LOOPBACK))
    return told


def _with_token(access: ProxyAccess) -> dict[str, str]:
    # go-ovh and all that is made of it. It takes no second kind of credential beside a token.
    return {"OVH_ENDPOINT": f"{access.url}/1.0", "OVH_ACCESS_TOKEN": access.token or SANDBOX_KEY}


def _with_keys(access: ProxyAccess) -> dict[str, str]:
    """Keys under all names that clients insist on; the application key is what lets them in."""
    endpoint = access.endpoint or f"{access.url}/1.0"
    let_in = access.token or SANDBOX_KEY
    keys = {
        # The SDKs, octodns, terraform, lego and external-dns, old ones too.
        "OVH_ENDPOINT": endpoint,
        "OVH_APPLICATION_KEY": let_in,
        "OVH_APPLICATION_SECRET": SANDBOX_KEY,
        "OVH_CONSUMER_KEY": SANDBOX_KEY,
        # By custom, in scripts around node-ovh.
        "OVH_APP_KEY": let_in,
        "OVH_APP_SECRET": SANDBOX_KEY,
        # acme.sh. It keeps what it is given, so that nothing stands there which lets anybody in.
        "OVH_END_POINT": endpoint,
        "OVH_AK": SANDBOX_KEY,
        "OVH_AS": SANDBOX_KEY,
        "OVH_CK": SANDBOX_KEY,
    }
    if access.endpoint is None:  # lexicon knows names alone
        return keys
    return keys | {
        "LEXICON_OVH_AUTH_ENTRYPOINT": endpoint,
        "LEXICON_OVH_AUTH_APPLICATION_KEY": let_in,
        "LEXICON_OVH_AUTH_APPLICATION_SECRET": SANDBOX_KEY,
        "LEXICON_OVH_AUTH_CONSUMER_KEY": SANDBOX_KEY,
    }


def _proxied(
    access: ProxyAccess, environ: Mapping[str, str], hosts: tuple[str, ...]
) -> dict[str, str]:
    """Both spellings: curl reads https_proxy, and which of two wins differs by client.

    HTTP_PROXY is as it was: what is not TLS goes to none of OVHcloud's hosts.
    """
    scheme, _, address = access.url.partition("://")
    login = "" if access.token is None else f"{_USER}:{quote(access.token, safe='')}@"
    proxy, direct = f"{scheme}://{login}{address}", _exceptions(access, environ, hosts)
    return {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": direct,
        "no_proxy": direct,
        # Node takes no proxy from the environment without it.
        "NODE_USE_ENV_PROXY": "1",
        # Nor does Perl's LWP.
        "PERL_LWP_ENV_PROXY": "1",
    }


def _exceptions(access: ProxyAccess, environ: Mapping[str, str], hosts: tuple[str, ...]) -> str:
    """Hosts to be reached past the proxy: the proxy itself, and those of before."""
    before = ",".join(environ.get(name, "") for name in ("NO_PROXY", "no_proxy"))
    kept = [entry for entry in before.replace(" ", ",").split(",") if entry]
    own = urlsplit(access.url).hostname or ""
    return ",".join(
        dict.fromkeys((*_LOOPBACK, own, *(entry for entry in kept if not _covers(entry, hosts))))
    )


def _covers(entry: str, hosts: tuple[str, ...]) -> bool:
    """Whether a client could read an exception as one for any of the hosts.

    By its end alone, as requests does, and without a port, as Go does not.
    """
    name = entry.lower().partition(":")[0].lstrip("*.")
    return any(host.endswith(name) for host in hosts) if name else "*" in entry or "." in entry
