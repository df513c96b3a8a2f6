"""The OVHcloud endpoints: API base URL, token URL, where applications are made."""

import ipaddress
import re
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from ovh_proxy.core.redaction import unknown


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The API that a profile uses.

    Attributes:
        name: as in the credential store: `ovh-eu`, or the base URL.
        base_url: scheme, host and path, without a trailing slash.
        token_url: issues OAuth2 access tokens; None if the endpoint has no service accounts.
        create_app_url: the page that creates an application key and secret, if known.
        create_token_url: the page that creates all three keys at once, if known.
    """

    name: str
    base_url: str
    token_url: str | None = None
    create_app_url: str | None = None
    create_token_url: str | None = None

    @property
    def is_versioned(self) -> bool:
        """Whether `/v1` and `/v2` exist next to the base URL, as on all of OVHcloud's own hosts."""
        return self.base_url.endswith("/1.0")

    @property
    def root(self) -> str:
        """The base URL without its version: the prefix of `/1.0/me` and `/v2/iam`."""
        return self.base_url.removesuffix("/1.0") if self.is_versioned else self.base_url


def _ovh(name: str, host: str, token_host: str | None = None) -> Endpoint:
    return Endpoint(
        name=name,
        base_url=f"https://{host}/1.0",
        token_url=token_host and f"https://{token_host}/auth/oauth2/token",
        create_app_url=f"https://{host}/createApp/",
        create_token_url=f"https://{host}/createToken/",
    )


# Source: python-ovh `ENDPOINTS`, go-ovh `Endpoints`, php-ovh `$endpoints`; RunAbove from php-ovh.
ENDPOINTS = MappingProxyType(
    {
        endpoint.name: endpoint
        for endpoint in (
            _ovh("ovh-eu", "eu.api.ovh.com", "www.ovh.com"),
            _ovh("ovh-ca", "ca.api.ovh.com", "ca.ovh.com"),
            _ovh("ovh-us", "api.us.ovhcloud.com", "us.ovhcloud.com"),
            _ovh("kimsufi-eu", "eu.api.kimsufi.com"),
            _ovh("kimsufi-ca", "ca.api.kimsufi.com"),
            _ovh("soyoustart-eu", "eu.api.soyoustart.com"),
            _ovh("soyoustart-ca", "ca.api.soyoustart.com"),
            _ovh("runabove-ca", "api.runabove.com"),
        )
    }
)

# Older names of the same APIs, which some clients still use.
# Source: apache-libcloud's `API_HOST`, lexicon's `ENDPOINTS`.
OLDER_HOSTS = MappingProxyType(
    {"api.ovh.com": "eu.api.ovh.com", "api.ovhcloud.com": "api.us.ovhcloud.com"}
)

# Strict, because URL parsers disagree on where the host ends, for example at a backslash.
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]*)?")
_BASE_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")


def parse_endpoint(text: str, token_url: str | None = None) -> Endpoint:
    """The endpoint with a known name, or with a base URL.

    Raises:
        ValueError: not a known name or valid URL; the text says what to write.
    """
    if "/" not in text:
        if text not in ENDPOINTS:
            raise ValueError(unknown("endpoint", text, (*ENDPOINTS, "a base URL"), is_shown=None))
        if token_url is not None:
            raise ValueError(f"endpoint {text} has its own token URL; leave out token_url")
        return ENDPOINTS[text]
    base_url = parse_url(text)
    if token_url is not None:
        token_url = parse_url(token_url)
    return Endpoint(name=base_url, base_url=base_url, token_url=token_url)


def parse_url(text: str) -> str:
    """A base or token URL, normalized to the spelling that is signed and sent.

    Raises:
        ValueError: not https (or http on loopback), or with parts that a base URL may not have.
    """
    if not text.isascii() or any(char <= " " or char == "\x7f" for char in text):
        raise ValueError("a URL must be printable ASCII without spaces")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as failure:
        raise ValueError("invalid URL: malformed host or port") from failure
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("invalid URL: it must start with https:// and a host")
    if "@" in parts.netloc or "?" in text or "#" in text:
        raise ValueError("invalid URL: a user, query or fragment is not allowed here")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise ValueError("invalid URL: the host must be a name or an IP address")
    segments = parts.path.split("/")
    if not _BASE_PATH.fullmatch(parts.path) or "." in segments or ".." in segments:
        raise ValueError("invalid URL: the path must not contain //, . or .. segments, or escapes")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("http:// would send credentials in plain text; use https://")
    return f"{parts.scheme}://{_authority(parts, host, port)}{parts.path.rstrip('/')}"


def _authority(parts: SplitResult, host: str, port: int | None) -> str:
    # Without the default port: clients omit it from Host, and OVHcloud verifies signatures by Host.
    shown = f"[{host}]" if ":" in host else host
    return shown if port in (None, 443 if parts.scheme == "https" else 80) else f"{shown}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without brackets or port, is always this machine."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
