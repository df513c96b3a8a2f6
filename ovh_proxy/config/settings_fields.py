"""The server settings' keys: types, bounds, descriptions; the JSON schemas for editors."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ovh_proxy.config.client_fields import CLIENTS
from ovh_proxy.config.field_types import (
    Field,
    FieldType,
    choice,
    list_of,
    mapped,
    mapping_of,
    or_null,
    parsed,
    seconds,
    text,
    truth,
    whole_number,
)
from ovh_proxy.config.listener_fields import (
    ADMIN_ADDRESS,
    LISTENER,
    PATH,
    parse_host_name,
    parse_origin,
)
from ovh_proxy.config.nodes import Entries, Items, Node, NodeCursor
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
    """The proxy of a URL, which may hold a user and a password.

    Raises:
        ValueError: it is no such URL; the text shows nothing of it.
    """
    if url.startswith("https://"):
        raise ValueError("TLS to a proxy is not spoken; a proxy is http://HOST:PORT")
    match = _URL.fullmatch(url)
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise ValueError(
            "a proxy is http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with all but letters "
            "and digits of the two percent-encoded"
        )
    address = TcpAddress(parse_host_name(match["host"]), int(match["port"]))
    return HttpProxy(address, None if match["login"] is None else _login(match["login"]))


def _login(written: str) -> Secret:
    user, _, password = written.partition(":")
    # What is no UTF-8 stays the bytes that it is: the proxy compares bytes.
    return Secret(":".join(unquote(part, errors="surrogateescape") for part in (user, password)))


def _read(cursor: NodeCursor) -> HttpProxy | None:
    if isinstance(cursor.node, Entries):
        url = read_referenced(cursor)
        # Whoever only looks at the listeners resolves no reference.
        is_resolved = cursor.path in cursor.reading.secrets
        return parsed(cursor, parse_proxy, url.reveal()) if is_resolved else None
    proxy = parsed(cursor, parse_proxy, cursor.text())
    if proxy.login is not None:
        raise cursor.add_problem(
            "has a user or a password, which do not stand here in clear; write a reference to the "
            "whole URL, such as {file: proxy-url} or {env: PROXY_URL}"
        )
    return proxy


PROXY: FieldType[HttpProxy | None] = FieldType(
    _read,
    {"anyOf": [{"type": "string", "pattern": "^http://[^@]+$"}, *REFERENCE_SCHEMAS]},
)


LEVELS = ("debug", "info", "warning", "error")

FORMATS = ("text", "json", "auto")

LEVEL = choice(**{level: level for level in LEVELS})

FORMAT = choice(**{format: format for format in FORMATS})

DRAIN_DELAY = seconds(zero=True)

WORKERS = whole_number(1, 256)

LISTEN = list_of(LISTENER, empty="listens nowhere; leave the key out for 127.0.0.1:8080")


_BYTES = whole_number(1)

_COUNT = whole_number(1)

_SECONDS = seconds()


def _check_limits(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    # Only what is written can contradict: a lowered bound pulls the defaults below it along.
    for lower, upper in (
        ("memory_body_bytes", "body_bytes"),
        ("memory_body_bytes", "memory_bodies_bytes"),
        ("line_bytes", "header_bytes"),
    ):
        if lower in values and upper in values and values[lower] > values[upper]:
            cursor.entries()[lower].add_problem(
                f"is larger than {upper}; lower it or raise {upper}"
            )


_LIMITS = mapping_of(
    Limits,
    Field("body_bytes", _BYTES, "The largest request body."),
    Field("memory_body_bytes", _BYTES, "A body larger than this is kept in a private file."),
    Field("memory_bodies_bytes", _BYTES, "All bodies in memory together."),
    Field("line_bytes", _BYTES, "The longest request target."),
    Field("header_bytes", _BYTES, "The largest head of a request, its first line included."),
    Field("headers", _COUNT, "Header lines of one request."),
    Field("in_flight", _COUNT, "Requests at once."),
    Field("connections", _COUNT, "Connections of clients at once."),
    Field("requests_per_minute", or_null(_COUNT), "Calls of a profile; null is no bound."),
    check=_check_limits,
)

_TIMEOUTS = mapping_of(
    Timeouts,
    Field("connect_s", _SECONDS, "Until a connection to OVHcloud stands, TLS included."),
    Field("answer_s", _SECONDS, "From the request sent to the head of its answer."),
    Field("idle_s", _SECONDS, "Between two pieces of an answer; a client without a request."),
    Field("header_s", _SECONDS, "From the first byte of a request to the end of its head."),
    Field("body_s", _SECONDS, "For a request's body, longer by 1 s for each 500 bytes received."),
    Field("drain_s", _SECONDS, "For requests in flight after SIGTERM."),
    Field("drain_delay_s", DRAIN_DELAY, "How long after SIGTERM listeners go on accepting."),
)

_RETRIES = mapping_of(
    Retries,
    Field("attempts", whole_number(1, 10), "Tries of one call in all, the first included."),
    Field(
        "on_status",
        mapped(list_of(whole_number(400, 599)), frozenset),
        "Statuses after which a safe call is tried again; none by default.",
    ),
)

_UPSTREAM = mapping_of(
    Upstream,
    Field("ca_file", or_null(PATH), "PEM file trusted besides the system's authorities."),
    Field("proxy", or_null(PROXY), "URL of an HTTP proxy on the way, or a reference to it."),
    Field("connections", _COUNT, "Connections at once to one endpoint."),
    Field("keep_alive_s", _SECONDS, "How long an idle connection is kept for the next call."),
)

_LOG = mapping_of(
    LogSettings,
    Field("format", FORMAT, "text, json, or auto: text on a terminal, else json."),
    Field("level", LEVEL, "The least that is written."),
    Field("audit", or_null(PATH), "File that gets one line a call; null is none."),
)

_TRACING = mapping_of(
    TracingSettings,
    Field("enabled", truth(), "A span a request, sent where the OTEL_* variables say."),
    Field("propagate", truth(), "Whether OVHcloud is told of the trace."),
)


def _check_settings(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    hosts, listen = values.get("hosts"), _listeners(cursor, values)
    if hosts and not has_clients(cursor.node) and any(map(_is_plain, listen)):
        # Browsers send no Sec-Fetch-* to plain HTTP names: nothing would tell a web page apart.
        cursor.entries()["hosts"].add_problem(
            "needs `clients` with tokens, or TLS on every listener"
        )
    if values.get("intercept_others") == "tunnel":
        others = cursor.entries()["intercept_others"]
        if not values.get("intercept", "intercept" in cursor.entries()):
            others.add_problem("tunnel does nothing without `intercept: true`")
        if not has_clients(cursor.node):
            # Whoever reaches it could hide behind this machine, and reach what it alone reaches.
            others.add_problem("tunnel needs `clients` with tokens")


def _listeners(cursor: NodeCursor, values: Mapping[str, Any]) -> tuple[Listener, ...]:
    if cursor.reading.listen:
        return cursor.reading.listen
    unread = () if "listen" in cursor.entries() else DEFAULT_LISTENERS
    listeners: tuple[Listener, ...] = values.get("listen", unread)
    return listeners


def _is_plain(listener: Listener) -> bool:
    return listener.tls is None and not isinstance(listener.address, UnixAddress)


def has_clients(tree: Node | None) -> bool:
    """Whether the settings name any client, be it well or badly."""
    match tree:
        case Entries(entries={"clients": Items(items=items)}):
            return bool(items)
    return False


SETTINGS: FieldType[dict[str, Any]] = mapping_of(
    dict,
    Field("listen", LISTEN, "Where clients connect; 127.0.0.1:8080 by default."),
    Field("admin_listen", ADMIN_ADDRESS, "Where health and metrics are, without the guard."),
    Field(
        "hosts",
        mapped(list_of(text(parse_host_name)), frozenset),
        "Host names accepted besides loopback's own and *.localhost, without a port.",
    ),
    Field(
        "origins",
        mapped(list_of(text(parse_origin, pattern="^[^/]+://[^/]+$")), frozenset),
        "Browser origins let in, as scheme://host or scheme://host:port; none by default.",
    ),
    Field("clients", CLIENTS, "Who may call; with any, every request must show a token."),
    Field("limits", _LIMITS, "Bounds on what a client may send."),
    Field("timeouts", _TIMEOUTS, "Bounds on waiting, in seconds."),
    Field("retries", _RETRIES, "When a failed call is tried again."),
    Field("upstream", _UPSTREAM, "How OVHcloud is reached."),
    Field("intercept", truth(), "Whether clients may use us as their HTTP proxy."),
    Field(
        "intercept_others",
        choice(refuse="refuse", tunnel="tunnel"),
        "What they ask of other hosts than OVHcloud's: refuse, or tunnel to it; needs `clients`.",
    ),
    Field("workers", WORKERS, "Processes that serve."),
    Field("log", _LOG, "What is written of requests, and how."),
    Field("tracing", _TRACING, "Spans for OpenTelemetry; needs the extra ovh-proxy[otel]."),
    check=_check_settings,
)


SCHEMAS: dict[str, tuple[str, FieldType[dict[str, Any]]]] = {
    "credentials.schema.json": ("The credential store of ovh-proxy", STORE),
    "ovh-proxy.schema.json": ("The server settings of ovh-proxy", SETTINGS),
}


def schema_text(name: str) -> str:
    """The schema of one of SCHEMAS as it lies in config/."""
    title, field_type = SCHEMAS[name]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return json.dumps({**head, **field_type.schema}, indent=2, ensure_ascii=False) + "\n"


def write_schemas(directory: Path) -> None:
    """Writes all of them, after the fields have changed."""
    for name in SCHEMAS:
        (directory / name).write_text(schema_text(name), encoding="utf-8")
