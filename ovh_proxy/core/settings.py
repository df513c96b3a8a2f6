"""All that the configuration says, as frozen values: profiles, clients, listeners, limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

# Only types: `healthcheck` needs addresses and limits, and must start fast.
if TYPE_CHECKING:
    from ovh_proxy.core.access_rules import AccessRule
    from ovh_proxy.core.credentials import Credential
    from ovh_proxy.core.endpoints import Endpoint
    from ovh_proxy.core.secret import Secret

# Needs no quoting in `/@name/…` or in a header.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One account at one endpoint.

    Attributes:
        access_rules: None grants all calls, an empty tuple grants none.
    """

    name: str
    endpoint: "Endpoint"
    credential: "Credential"
    access_rules: "tuple[AccessRule, ...] | None" = None


# Connecting to an unspecified address works on Linux and fails on Windows.
_LOOPBACK_OF = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})  # noqa: S104 - binds nothing


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host (name or address, without brackets) and a port; port 0 means any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def connect_host(self) -> str:
        """The host to connect to from this machine: loopback if it listens on all addresses."""
        return _LOOPBACK_OF.get(self.host, self.host)


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket's file, or its Linux abstract name with a leading `@`."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class InheritedAddress:
    """A listening socket that the process inherited, by its file descriptor."""

    descriptor: int

    def __str__(self) -> str:
        return f"fd:{self.descriptor}"


Address = TcpAddress | UnixAddress | InheritedAddress


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a TLS listener; with `client_ca`, client certificates are required."""

    cert: str
    key: str
    client_ca: str | None = None


@dataclass(frozen=True, slots=True)
class AutoTls:
    """Certificates from the proxy's own authority in the state directory."""

    directory: str


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that clients connect to, and what they may do there.

    Attributes:
        mode: permission bits of a unix socket's file.
        owner: user that owns the socket file, by name or number; None for the proxy's user.
        group: group of the socket file, by name or number; None for the proxy's group.
        uids: users that may connect to a unix socket; None for all.
        profiles: profiles that may be used here, the first is the default; empty for all.
        clients: names of the clients that may connect here; empty for all.
    """

    address: Address
    mode: int = 0o600
    owner: str | None = None
    group: str | None = None
    uids: frozenset[int] | None = None
    profiles: tuple[str, ...] = ()
    clients: frozenset[str] = frozenset()
    tls: TlsFiles | AutoTls | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A local caller that authenticates with a token.

    Attributes:
        digest: SHA-256 of the token, 32 bytes; the token itself is not stored.
        profiles: profiles that it may use, the first is the default; empty for all.
        access_rules: None grants all calls that the profile's rules grant.
    """

    name: str
    digest: bytes = field(repr=False)
    profiles: tuple[str, ...] = ()
    access_rules: "tuple[AccessRule, ...] | None" = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a client may send; sizes in bytes.

    Attributes:
        memory_body_bytes: larger bodies are spooled to a private file.
        memory_bodies_bytes: all bodies in memory together.
        line_bytes: the request target.
        header_bytes: the whole head with the request line.
        headers: header lines of one request.
        in_flight: concurrent requests.
        connections: concurrent client connections.
    """

    body_bytes: int = 33_554_432
    memory_body_bytes: int = 1_048_576
    memory_bodies_bytes: int = 134_217_728
    line_bytes: int = 16_384
    header_bytes: int = 65_536
    headers: int = 128
    in_flight: int = 512
    connections: int = 1024
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds on waiting, in seconds.

    Attributes:
        connect_s: to connect to OVHcloud, including TLS.
        answer_s: from the end of the request to the head of OVHcloud's response.
        idle_s: between two pieces of a response; also for a client's connection without requests.
        header_s: from the first byte of a request to the end of its head.
        body_s: for a request's body, plus one second for each 500 bytes received.
        drain_s: for requests in flight after SIGTERM.
        drain_delay_s: listeners accept connections this long after SIGTERM.
    """

    connect_s: float = 10.0
    answer_s: float = 300.0
    idle_s: float = 120.0
    header_s: float = 15.0
    body_s: float = 60.0
    drain_s: float = 30.0
    drain_delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Retries:
    """attempts: tries of one call, including the first; on_status: response statuses to retry."""

    attempts: int = 3
    on_status: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy between this proxy and OVHcloud.

    Attributes:
        login: `user:password`; None for a proxy without authentication.
    """

    address: TcpAddress
    login: "Secret | None" = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """How the proxy connects to OVHcloud.

    Attributes:
        ca_file: a PEM file to trust in addition to the system's authorities.
        proxy: None for direct connections.
        connections: concurrent connections to one endpoint.
        keep_alive_s: how long an idle connection stays open.
    """

    ca_file: str | None = None
    proxy: HttpProxy | None = None
    connections: int = 64
    keep_alive_s: float = 60.0


@dataclass(frozen=True, slots=True)
class LogSettings:
    """format: `text`, `json` or `auto` (text on a terminal); level; audit: a file, or None."""

    format: str = "auto"
    level: str = "info"
    audit: str | None = None


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Spans for OpenTelemetry.

    Attributes:
        enabled: exports a span for each request, configured by the OTEL_* variables.
        propagate: sends the trace context to OVHcloud.
    """

    enabled: bool = False
    propagate: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """The profiles of a credential store.

    Attributes:
        source: where they come from: a file, or parts of the SDKs' configuration.
        is_fallback: the official SDKs' configuration is used, because there is no credential store.
        files: a change to any of these changes the store: its own file and those it refers to.
        warnings: remarks on its values.
    """

    profiles: Mapping[str, Profile]
    default: str | None
    source: str
    files: tuple[str, ...] = ()
    is_fallback: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def default_profile(self) -> Profile | None:
        """The profile for requests that name none: the default, else the only one."""
        if self.default is not None:
            return self.profiles[self.default]
        return next(iter(self.profiles.values())) if len(self.profiles) == 1 else None


DEFAULT_LISTENERS = (Listener(TcpAddress("127.0.0.1", 8080)),)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration; a request uses the same settings from start to end.

    Attributes:
        intercept: clients may use this as their HTTP proxy; it serves their calls to endpoints.
        intercept_others: `refuse` or `tunnel` connections to other hosts.
        state_directory: contains the certificate authority.
    """

    store: Store = field(default_factory=lambda: Store(MappingProxyType({}), None, "nowhere"))
    listen: tuple[Listener, ...] = DEFAULT_LISTENERS
    admin_listen: Address | None = None
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    clients: tuple[Client, ...] = ()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    upstream: Upstream = Upstream()
    intercept: bool = False
    intercept_others: str = "refuse"
    workers: int = 1
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    allow_open: bool = False
    source: str | None = None
    state_directory: str = field(default="", compare=False)
