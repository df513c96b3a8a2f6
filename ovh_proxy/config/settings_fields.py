"""The server settings' keys: types, bounds, descriptions; the JSON schemas for editors."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ovh_proxy.config.client_fields import CLIENTS
from ovh_proxy.config.field_types import (
    Field,
    FieldType,
    boolean,
    choice,
    list_of,
    mapped,
    mapping_of,
    or_null,
    parsed,
    seconds,
    text,
    whole_number,
)
from ovh_proxy.config.listener_fields import (
    ADMIN_ADDRESS,
    LISTENER,
    PATH,
    parse_host_name,
    parse_origin,
)
from ovh_proxy.config.nodes import Entries, Items, Node, NodeCursor, out_of_range
from ovh_proxy.config.profile_fields import REFERENCE_SCHEMAS, STORE, read_referenced
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import (
    DEFAULT_LISTENERS,
    HttpProxy,
    Limits,
    Listener,
    LogSettings,
    Retries,
    TcpAddress,
    Timeouts,
    TracingSettings,
    UnixAddress,
    Upstream,
)

_URL = re.compile(
    r"http://(?:(?P<login>[^/?#]+)@)?(?P<host>\[[^\[\]@]+\]|[^\[\]@:/]+):(?P<port>[0-9]{1,5})/?"
)


def parse_proxy(url: str) -> HttpProxy:
    """The proxy of a URL, which may contain a user and a password.

    Raises:
        ValueError: malformed; the text never shows the URL.
    """
    if url.startswith("https://"):
        raise ValueError("https:// proxies are not supported; write http://HOST:PORT")
    match = _URL.fullmatch(url)
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise ValueError(
            "invalid proxy URL (not shown, it may be a secret); write http://HOST:PORT or "
            "http://USER:PASSWORD@HOST:PORT, and percent-encode all but letters and digits in "
            "USER and PASSWORD"
        )
    address = TcpAddress(parse_host_name(match["host"]), int(match["port"]))
    return HttpProxy(address, None if match["login"] is None else _login(match["login"]))


def _login(written: str) -> Secret:
    user, _, password = written.partition(":")
    # Bytes that are not UTF-8 are preserved: the proxy compares bytes.
    return Secret(":".join(unquote(part, errors="surrogateescape") for part in (user, password)))


def _read_proxy(cursor: NodeCursor) -> HttpProxy | None:
    if isinstance(cursor.node, Entries):
        url = read_referenced(cursor)
        # Commands that only read the listeners resolve no references.
        is_resolved = cursor.path in cursor.context.secrets
        return parsed(cursor, parse_proxy, url.reveal()) if is_resolved else None
    proxy = parsed(cursor, parse_proxy, cursor.text())
    if proxy.login is not None:
        raise cursor.add_problem(
            "plain-text users and passwords are not allowed here; write a reference to the whole "
            "URL, such as {file: proxy-url} or {env: PROXY_URL}"
        )
    return proxy


PROXY: FieldType[HttpProxy | None] = FieldType(
    _read_proxy,
    {"anyOf": [{"type": "string", "pattern": "^http://[^@]+$"}, *REFERENCE_SCHEMAS]},
)

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json", "auto")
LEVEL = choice(**{level: level for level in LEVELS})
FORMAT = choice(**{format: format for format in FORMATS})
DRAIN_DELAY = seconds(zero=True)
WORKERS = whole_number(1, 256)

LISTEN = list_of(
    LISTENER, empty="no listeners; add one, or remove the key to listen on 127.0.0.1:8080"
)

_BYTES = whole_number(1)
_COUNT = whole_number(1)
_SECONDS = seconds()


def _check_limits(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    # Only values in the file can contradict: a lowered limit lowers the defaults that depend on it.
    for lower, upper in (
        ("memory_body_bytes", "body_bytes"),
        ("memory_body_bytes", "memory_bodies_bytes"),
        ("line_bytes", "header_bytes"),
    ):
        if lower in values and upper in values and values[lower] > values[upper]:
            cursor.entries()[lower].add_problem(
                out_of_range(f"{values[lower]}", f"at most {upper} ({values[upper]})")
            )


_LIMITS = mapping_of(
    Limits,
    Field("body_bytes", _BYTES, "Maximum size of a request body."),
    Field("memory_body_bytes", _BYTES, "Larger bodies are buffered in a private file."),
    Field("memory_bodies_bytes", _BYTES, "Maximum size of all bodies in memory together."),
    Field("line_bytes", _BYTES, "Maximum length of a request target."),
    Field("header_bytes", _BYTES, "Maximum size of a request head, including the request line."),
    Field("headers", _COUNT, "Maximum number of header lines in a request."),
    Field("in_flight", _COUNT, "Maximum number of concurrent requests."),
    Field("connections", _COUNT, "Maximum number of client connections."),
    Field("requests_per_minute", or_null(_COUNT), "Rate limit of a profile. null means no limit."),
    check=_check_limits,
)

_TIMEOUTS = mapping_of(
    Timeouts,
    Field("connect_s", _SECONDS, "To connect to OVHcloud, including TLS."),
    Field("answer_s", _SECONDS, "From the end of a request to the head of its response."),
    Field("idle_s", _SECONDS, "Between two reads of a response, and for idle client connections."),
    Field("header_s", _SECONDS, "From the first byte of a request to the end of its head."),
    Field("body_s", _SECONDS, "For a request body, plus 1 s for each 500 bytes received."),
    Field("drain_s", _SECONDS, "To finish requests after SIGTERM."),
    Field(
        "drain_delay_s", DRAIN_DELAY, "How long listeners keep accepting connections after SIGTERM."
    ),
)

_RETRIES = mapping_of(
    Retries,
    Field("attempts", whole_number(1, 10), "Maximum attempts for one call, including the first."),
    Field(
        "on_status",
        mapped(list_of(whole_number(400, 599)), frozenset),
        "Response statuses after which a safe call is retried. None by default.",
    ),
)

_UPSTREAM = mapping_of(
    Upstream,
    Field("ca_file", or_null(PATH), "PEM file with authorities to trust besides the system's."),
    Field(
        "proxy",
        or_null(PROXY),
        "URL of the HTTP proxy to reach the internet through, or a reference to it.",
    ),
    Field("connections", _COUNT, "Maximum number of connections to one endpoint."),
    Field("keep_alive_s", _SECONDS, "How long an idle connection stays open for the next call."),
)

_LOG = mapping_of(
    LogSettings,
    Field("format", FORMAT, "text, json, or auto: text on a terminal, otherwise json."),
    Field("level", LEVEL, "Minimum level of log lines."),
    Field("audit", or_null(PATH), "Audit file, one line per call. null means none."),
)

_TRACING = mapping_of(
    TracingSettings,
    Field("enabled", boolean(), "Exports a span per request, as the OTEL_* variables say."),
    Field("propagate", boolean(), "Whether the trace context is sent to OVHcloud."),
)


def _check_settings(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    hosts, listen = values.get("hosts"), _listeners(cursor, values)
    if hosts and not has_clients(cursor.node) and any(map(_is_plain, listen)):
        # Browsers send no Sec-Fetch-* headers over plain HTTP: requests of web pages would not be
        # recognized.
        cursor.entries()["hosts"].add_problem(
            "hosts needs `clients` with tokens, or TLS on every listener"
        )
    if values.get("intercept_others") == "tunnel":
        others = cursor.entries()["intercept_others"]
        if not values.get("intercept", "intercept" in cursor.entries()):
            others.add_problem("tunnel needs `intercept: true`")
        if not has_clients(cursor.node):
            # Anyone could use this machine's address, and reach hosts that only it can reach.
            others.add_problem("tunnel needs `clients` with tokens")


def _listeners(cursor: NodeCursor, values: Mapping[str, Any]) -> tuple[Listener, ...]:
    if cursor.context.listen:
        return cursor.context.listen
    unread = () if "listen" in cursor.entries() else DEFAULT_LISTENERS
    listeners: tuple[Listener, ...] = values.get("listen", unread)
    return listeners


def _is_plain(listener: Listener) -> bool:
    return listener.tls is None and not isinstance(listener.address, UnixAddress)


def has_clients(tree: Node | None) -> bool:
    """Whether the settings list any client, valid or not."""
    match tree:
        case Entries(entries={"clients": Items(items=items)}):
            return bool(items)
    return False


SETTINGS: FieldType[dict[str, Any]] = mapping_of(
    dict,
    Field("listen", LISTEN, "Addresses to listen on. 127.0.0.1:8080 by default."),
    Field(
        "admin_listen",
        ADMIN_ADDRESS,
        "Address of health and metrics, without client authentication.",
    ),
    Field(
        "hosts",
        mapped(list_of(text(parse_host_name)), frozenset),
        "Accepted Host names besides loopback and *.localhost, without a port.",
    ),
    Field(
        "origins",
        mapped(list_of(text(parse_origin, pattern="^[^/]+://[^/]+$")), frozenset),
        "Allowed browser origins: scheme://host or scheme://host:port. None by default.",
    ),
    Field("clients", CLIENTS, "Clients and their tokens. If set, every request needs a token."),
    Field("limits", _LIMITS, "Limits on client requests."),
    Field("timeouts", _TIMEOUTS, "Timeouts, in seconds."),
    Field("retries", _RETRIES, "When failed calls are retried."),
    Field("upstream", _UPSTREAM, "Connection to OVHcloud."),
    Field("intercept", boolean(), "Whether clients may use this as their HTTP proxy."),
    Field(
        "intercept_others",
        choice(refuse="refuse", tunnel="tunnel"),
        "Requests to hosts other than OVHcloud's: refuse, or tunnel (needs `clients`).",
    ),
    Field("workers", WORKERS, "Number of worker processes."),
    Field("log", _LOG, "Logging."),
    Field("tracing", _TRACING, "OpenTelemetry tracing. Needs the extra ovh-proxy[otel]."),
    check=_check_settings,
)

SCHEMAS: dict[str, tuple[str, FieldType[dict[str, Any]]]] = {
    "credentials.schema.json": ("The credential store of ovh-proxy", STORE),
    "ovh-proxy.schema.json": ("The server settings of ovh-proxy", SETTINGS),
}


def schema_text(name: str) -> str:
    """The text of a schema file in config/."""
    # Imported here: only the schemas need it, and every start reads the fields.
    import json

    title, field_type = SCHEMAS[name]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return json.dumps({**head, **field_type.schema}, indent=2, ensure_ascii=False) + "\n"


def write_schemas(directory: Path) -> None:
    """Writes all schema files; run it after a change of the fields."""
    for name in SCHEMAS:
        (directory / name).write_text(schema_text(name), encoding="utf-8")
