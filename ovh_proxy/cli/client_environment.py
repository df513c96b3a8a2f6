"""The way to a proxy, as the variables that clients read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

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
