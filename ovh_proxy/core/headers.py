"""Which headers cross the proxy, in each direction."""

import re
from collections.abc import Iterable

from ovh_proxy.core.errors import BadRequest, ExpectationFailed
from ovh_proxy.core.messages import Headers

# RFC 9110 section 7.6.1, with Trailer and Upgrade, which name what we do not pass on.
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
_OURS_TO_SET = frozenset({b"host", b"content-length", b"expect"})
_STAYS_HERE = (
    _HOP_BY_HOP
    | _OURS_TO_SET
    | {
        b"x-ovh-application",
        b"x-ovh-consumer",
        b"x-ovh-timestamp",
        b"x-ovh-signature",
        b"authorization",
        b"cookie",
        b"cookie2",
        b"origin",
        b"referer",
        b"forwarded",
    }
)
_STAYS_HERE_PREFIXES = (b"x-ovh-proxy-", b"proxy-", b"x-forwarded-")
_DROPPED = _HOP_BY_HOP | {b"set-cookie", b"set-cookie2"}
_DROPPED_PREFIXES = (b"access-control-", b"x-ovh-proxy-", b"proxy-")

# Fields that RFC 9110 defines as one value: two of them have two readings.
_ONCE = frozenset(
    {
        b"host",
        b"content-length",
        b"content-type",
        b"content-range",
        b"content-location",
        b"transfer-encoding",
        b"authorization",
        b"proxy-authorization",
        b"user-agent",
        b"referer",
        b"from",
        b"date",
        b"max-forwards",
        b"range",
        b"if-range",
        b"if-modified-since",
        b"if-unmodified-since",
        b"expect",
        b"origin",
        b"x-ovh-proxy-profile",
        b"x-ovh-proxy-auth",
    }
)
_JSON_START = re.compile(rb'[ \t\r\n]*(?:[\[{"]|-?[0-9]|(?:true|false|null)[ \t\r\n]*$)')
_CURLS_DEFAULT = b"application/x-www-form-urlencoded"


class RequestHeaders:
    """The raw headers of one request, looked at once.

    Raises:
        BadRequest: a field that RFC 9110 allows once is there twice.
    """

    __slots__ = ("_values", "raw")

    def __init__(self, raw: Headers) -> None:
        self.raw = raw
        values: dict[bytes, list[bytes]] = {}
        for name, value in raw:
            values.setdefault(name.lower(), []).append(value)
        self._values = values
        for name in _ONCE & values.keys():
            if len(values[name]) > 1:
                raise BadRequest(f"the header {name.decode('ascii').title()} is there twice")

    def one(self, name: bytes) -> bytes | None:
        """The first value of a field; the name in lower case."""
        found = self._values.get(name)
        return found[0] if found else None

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a field, in order; the name in lower case."""
        return self._values.get(name, [])

    def names(self) -> Iterable[bytes]:
        """The field names in lower case, each once."""
        return self._values.keys()

    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends its body.

        Raises:
            ExpectationFailed: it expects what nobody knows.
        """
        expected = self.one(b"expect")
        if expected is None:
            return False
        if expected.lower() != b"100-continue":
            raise ExpectationFailed("the only Expect known is 100-continue")
        return True


def request_headers(headers: RequestHeaders) -> Headers:
    """The client's headers that go on to OVHcloud, in order and spelling."""
    named = _named_by_connection(headers.all(b"connection"))
    return tuple(
        (name, value)
        for name, value in headers.raw
        if (key := name.lower()) not in _STAYS_HERE
        and key not in named
        and not key.startswith(_STAYS_HERE_PREFIXES)
    )


def with_content_type(headers: Headers, start: bytes) -> Headers:
    """The headers with `application/json` where a JSON body came without a type of its own.

    `curl -d` calls every body a form; OVHcloud would not read it, and the type is not signed.

    Args:
        start: the body's first bytes; empty without a body.
    """
    if not _JSON_START.match(start):
        return headers
    place = next((i for i, (name, _) in enumerate(headers) if name.lower() == b"content-type"), -1)
    if place < 0:
        return (*headers, (b"Content-Type", b"application/json"))
    name, value = headers[place]
    if value.lower() != _CURLS_DEFAULT:
        return headers
    return (*headers[:place], (name, b"application/json"), *headers[place + 1 :])


def response_headers(raw: Headers) -> Headers:
    """OVHcloud's headers that go on to the client, in order and spelling.

    `Access-Control-*` stays here: OVHcloud says `*`, which would let any web page read what the
    proxy signed.
    """
    named = _named_by_connection(value for name, value in raw if name.lower() == b"connection")
    return tuple(
        (name, value)
        for name, value in raw
        if (key := name.lower()) not in _DROPPED
        and key not in named
        and not key.startswith(_DROPPED_PREFIXES)
    )


def _named_by_connection(values: Iterable[bytes]) -> frozenset[bytes]:
    return frozenset(
        name.strip().lower() for value in values for name in value.split(b",") if name.strip()
    )
