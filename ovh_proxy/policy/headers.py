"""Which headers cross the proxy, in each direction."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter

from ovh_proxy.core.errors import BadRequest, ExpectationFailed
from ovh_proxy.ovhcloud.messages import Headers, ResponseHead

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
        b"authorization",
        b"cookie",
        b"cookie2",
        b"origin",
        b"referer",
        b"forwarded",
        # Servers behind may go by these rather than by the request line that the rules allowed.
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-real-ip",
    }
)
_STAYS_HERE_PREFIXES = (b"x-ovh-", b"proxy-", b"x-forwarded-")
# What OVHcloud documents for callers; everything else of X-Ovh-* proves or routes.
_CROSSES = frozenset({b"x-ovh-batch", b"x-ovh-retractation"})
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
        b"x-ovh-application",
        b"x-ovh-batch",
        b"x-ovh-proxy-profile",
        b"x-ovh-proxy-auth",
    }
)
_JSON_START = re.compile(rb'[ \t\r\n]*(?:[\[{"]|-?[0-9]|(?:true|false|null)[ \t\r\n]*$)')
_CURLS_DEFAULT = b"application/x-www-form-urlencoded"


class RequestHeaders:
    """The raw headers of one request, looked at once.

    Attributes:
        keys: their names in lower case, in order.

    Raises:
        BadRequest: a field that RFC 9110 allows once is there twice.
    """

    __slots__ = ("_values", "keys", "raw")

    def __init__(self, raw: Headers) -> None:
        self.raw = raw
        self.keys = [name.lower() for name, _ in raw]
        self._values = values = dict[bytes, list[bytes]]()
        for key, (_, value) in zip(self.keys, raw, strict=True):
            if key not in values:
                values[key] = [value]
            elif key in _ONCE:
                raise BadRequest(f"the header {key.decode('ascii').title()} is there twice")
            else:
                values[key].append(value)

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
    stays = _STAYS_HERE | _named_by(b",".join(headers.all(b"connection")).lower())
    return tuple(
        [
            line
            for line, key in zip(headers.raw, headers.keys, strict=True)
            # Servers that speak CGI read `X_Ovh_Consumer` as `X-Ovh-Consumer`. nginx drops such
            # names for the same reason (`underscores_in_headers off`).
            if key not in stays
            and b"_" not in key
            and (key in _CROSSES or not key.startswith(_STAYS_HERE_PREFIXES))
        ]
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


def response_headers(head: ResponseHead) -> Headers:
    """OVHcloud's headers that go on to the client, in order and spelling.

    `Access-Control-*` stays here: OVHcloud says `*`, which would let any web page read what the
    proxy signed.
    """
    return _response_cut(head.keys, head.connection, head.status == 204)(head.headers)


@lru_cache(maxsize=64)  # answers of a kind name the same headers
def _response_cut(
    keys: tuple[bytes, ...], connection: bytes, is_204: bool
) -> Callable[[Headers], Headers]:
    """What makes the client's headers of an answer's."""
    stays = _DROPPED | _named_by(connection)
    if is_204:  # RFC 9110 section 8.6: none has a length
        stays |= {b"content-length"}
    places = [
        place
        for place, key in enumerate(keys)
        if key not in stays and not key.startswith(_DROPPED_PREFIXES)
    ]
    if len(places) > 1:  # for a single one itemgetter would give no tuple
        return itemgetter(*places)
    return lambda headers: tuple([headers[place] for place in places])


def _named_by(connection: bytes) -> frozenset[bytes]:
    """The headers that Connection names, which go no further than it; it comes in lower case.

    The length is never one of them: it frames the message (RFC 9112 section 6.3).
    """
    return frozenset(map(bytes.strip, connection.split(b","))) - {b"content-length"}
