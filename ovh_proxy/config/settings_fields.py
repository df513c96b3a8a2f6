"""The server settings' keys: their types, bounds and descriptions."""

from collections.abc import Mapping
from typing import Any

from ovh_proxy.config.client_fields import CLIENTS
from ovh_proxy.config.field_types import (
    FieldType,
    choice,
    list_of,
    mapped,
    or_null,
    seconds,
    text,
    truth,
    whole_number,
)
from ovh_proxy.config.listener_fields import ADMIN_ADDRESS, LISTENER
from ovh_proxy.config.nodes import NodeCursor
from ovh_proxy.core.settings import (
    DEFAULT_LISTENERS,
    Limits,
    Listener,
    LogSettings,
    Retries,
    Timeouts,
    TracingSettings,
    UnixAddress,
    Upstream,
)
from ovh_proxy.store.address import parse_host_name, parse_origin
from ovh_proxy.store.nodes import Entries, Items, Node
from ovh_proxy.store.proxy_field import PROXY
from ovh_proxy.store.record import Field, mapping_of
from ovh_proxy.store.tls_field import PATH

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
