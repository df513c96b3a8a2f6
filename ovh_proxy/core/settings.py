"""All that the configuration says, as frozen values: profiles, clients, listeners, limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import Credential
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.secret import Secret

# What can stand in `/@name/…` and in a header without any quoting.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One account at one endpoint.

    Attributes:
        access_rules: None grants all calls; an empty tuple none.
    """

    name: str
    endpoint: Endpoint
    credential: Credential
    access_rules: tuple[AccessRule, ...] | None = None


# Connecting to an unspecified address works on Linux and fails on Windows.
_LOOPBACK_OF = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})  # noqa: S104 - binds nothing


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host (name or address, without brackets) and a port; port 0 lets the system choose."""

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
    """A socket file, or with a leading `@` a Linux abstract name."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class InheritedAddress:
    """A listening socket that the process was started with, by its descriptor."""

    descriptor: int

    def __str__(self) -> str:
        return f"fd:{self.descriptor}"


Address = TcpAddress | UnixAddress | InheritedAddress


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a TLS listener; `client_ca` makes client certificates mandatory."""

    cert: str
    key: str
    client_ca: str | None = None


@dataclass(frozen=True, slots=True)
class AutoTls:
    """Certificates of our own authority, which is in the state directory."""

    directory: str


@dataclass(frozen=True, slots=True)
class Listener:
    """Where clients connect, and what they may do there.

    Attributes:
        mode: permission bits of a unix socket's file.
        owner: user that owns the socket file, by name or number; None leaves it ours.
        group: group of the socket file, by name or number; None leaves it ours.
        uids: users that may connect to a unix socket; None is any.
        profiles: the only ones served here, the first by default; empty is any.
        clients: the names of those that may use this listener; empty is any.
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
    """A local caller that shows a token.

    Attributes:
        digest: SHA-256 of the token, 32 bytes; the token itself is not kept.
        profiles: the only ones it may use, the first by default; empty is any.
        access_rules: None grants all that the profile's rules grant.
    """

    name: str
    digest: bytes = field(repr=False)
    profiles: tuple[str, ...] = ()
    access_rules: tuple[AccessRule, ...] | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a client may send; sizes in bytes.

    Attributes:
        memory_body_bytes: a body larger than this is spooled to a private file.
        memory_bodies_bytes: all bodies in memory together.
        line_bytes: the request target.
        header_bytes: the whole head, request line included.
        headers: header lines of one request.
        in_flight: requests at once; connections: sockets at once.
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
        connect_s: until a connection to OVHcloud stands, TLS included.
        answer_s: from the request sent to the head of its answer.
        idle_s: between two pieces of an answer; a client's connection without a request.
        header_s: from the first byte of a request to the end of its head.
        body_s: for a request's body, longer by one second for each 500 bytes received.
        drain_s: for requests in flight after SIGTERM.
        drain_delay_s: how long after SIGTERM listeners go on accepting.
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
    """attempts: tries of one call in all, the first included; on_status: answers worth another."""

    attempts: int = 3
    on_status: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy on the way to OVHcloud.

    Attributes:
        login: user and password with a colon between them; None for a proxy that asks for none.
    """

    address: TcpAddress
    login: Secret | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """How OVHcloud is reached.

    Attributes:
        ca_file: a PEM file trusted besides the system's authorities.
        proxy: None for the straight way.
        connections: at once to one endpoint.
        keep_alive_s: how long an idle connection is kept for the next call.
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
        enabled: one is sent for each request, to where the OTEL_* variables say.
        propagate: OVHcloud is told of the trace.
    """

    enabled: bool = False
    propagate: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """The profiles of a credential store.

    Attributes:
        source: where they were read: a file, or what of the SDKs' configuration.
        is_fallback: there is no credential store; the official SDKs' configuration serves.
        files: whatever a change of which means another store: the file and its references.
    """

    profiles: Mapping[str, Profile]
    default: str | None
    source: str
    files: tuple[str, ...] = ()
    is_fallback: bool = False

    @property
    def default_profile(self) -> Profile | None:
        """The profile of a request that names none: the default, else the only one."""
        if self.default is not None:
            return self.profiles[self.default]
        return next(iter(self.profiles.values())) if len(self.profiles) == 1 else None


DEFAULT_LISTENERS = (Listener(TcpAddress("127.0.0.1", 8080)),)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole of the configuration at one moment: a request keeps the one it began with.

    Attributes:
        intercept: clients may use us as their HTTP proxy, and what they ask of endpoints ends here.
        intercept_others: `refuse` what is none, or `tunnel` it.
        state_directory: where the certificate authority is kept.
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
