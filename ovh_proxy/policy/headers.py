"""Which headers cross the proxy, in each direction."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter

from ovh_proxy.core.errors import BadRequest, ExpectationFailed
from ovh_proxy.ovhcloud.messages import Headers, ResponseHead

# RFC 9110 section 7.6.1, and Trailer and Upgrade: we forward neither trailers nor upgrades.
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
_SET_BY_PROXY = frozenset({b"host", b"content-length", b"expect"})
_DROPPED_REQUEST = (
    _HOP_BY_HOP
    | _SET_BY_PROXY
    | {
        b"authorization",
        b"cookie",
        b"cookie2",
        b"origin",
        b"referer",
        b"forwarded",
        # Some servers prefer these to the method, path and address that the rules were checked for.
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-url",
        b"x-rewrite-url",
        b"x-real-ip",
    }
)
_DROPPED_REQUEST_PREFIXES = (b"x-ovh-", b"proxy-", b"x-forwarded-")
# The X-Ovh-* headers that OVHcloud documents for callers; all others authenticate or route.
_FORWARDED = frozenset({b"x-ovh-batch", b"x-ovh-retractation"})
_DROPPED_RESPONSE = _HOP_BY_HOP | {b"set-cookie", b"set-cookie2"}
_DROPPED_RESPONSE_PREFIXES = (b"access-control-", b"x-ovh-proxy-", b"proxy-")
# RFC 9110 defines these as one value: a request with two of them is ambiguous.
_SINGLE = frozenset(
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
        b"x-ovh-batch",
        b"x-ovh-proxy-profile",
        b"x-ovh-proxy-auth",
    }
)
# With the byte order mark that some editors write.
_JSON_START = re.compile(
    rb'(?:\xef\xbb\xbf)?[ \t\r\n]*(?:[\[{"]|-?[0-9]|(?:true|false|null)[ \t\r\n]*$)'
)
_CURL_DEFAULT = b"application/x-www-form-urlencoded"


class RequestHeaders:
    """The raw headers of one request, indexed by name.

    Attributes:
        keys: their names in lower case, in order.

    Raises:
        BadRequest: a field that RFC 9110 allows once occurs twice.
    """

    __slots__ = ("_values", "keys", "raw")

    def __init__(self, raw: Headers) -> None:
        self.raw = raw
        self.keys = [name.lower() for name, _ in raw]
        self._values = values = dict[bytes, list[bytes]]()
        for key, (_, value) in zip(self.keys, raw, strict=True):
            if key not in values:
                values[key] = [value]
            elif key in _SINGLE:
                raise BadRequest(f"duplicate header {key.decode('ascii').title()}; send it once")
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
            ExpectationFailed: it expects anything else.
        """
        expected = self.one(b"expect")
        if expected is None:
            return False
        if expected.lower() != b"100-continue":
            raise ExpectationFailed("unsupported Expect header; use 100-continue")
        return True


def request_headers(headers: RequestHeaders) -> Headers:
    """The client's headers that the proxy forwards to OVHcloud, in order and spelling."""
    dropped = _DROPPED_REQUEST | _connection_options(b",".join(headers.all(b"connection")).lower())
    return tuple(
        [
            line
            for line, key in zip(headers.raw, headers.keys, strict=True)
            # CGI servers read X_Ovh_Consumer as X-Ovh-Consumer. nginx drops such names as well
            # (underscores_in_headers).
            if key not in dropped
            and b"_" not in key
            and (key in _FORWARDED or not key.startswith(_DROPPED_REQUEST_PREFIXES))
        ]
    )


def with_content_type(headers: Headers, start: bytes) -> Headers:
    """The headers with `application/json` if a JSON body has no media type or curl's default.

    `curl -d` labels every body as a form, which OVHcloud rejects. The type is not signed.

    Args:
        start: the body's first bytes; empty without a body.
    """
    if not _JSON_START.match(start):
        return headers
    index = next((i for i, (name, _) in enumerate(headers) if name.lower() == b"content-type"), -1)
    if index < 0:
        return (*headers, (b"Content-Type", b"application/json"))
    name, value = headers[index]
    if value.partition(b";")[0].strip().lower() != _CURL_DEFAULT:
        return headers
    return (*headers[:index], (name, b"application/json"), *headers[index + 1 :])


def response_headers(head: ResponseHead) -> Headers:
    """OVHcloud's headers that the proxy forwards to the client, in order and spelling.

    `Access-Control-*` is dropped: OVHcloud sends `*`, which would let any web page read responses
    to requests that the proxy signed.
    """
    return _response_selector(head.keys, head.connection, head.status == 204)(head.headers)


@lru_cache(maxsize=64)  # responses of one kind have the same headers
def _response_selector(
    keys: tuple[bytes, ...], connection: bytes, is_204: bool
) -> Callable[[Headers], Headers]:
    """A function that selects the headers for the client from those of a response."""
    dropped = _DROPPED_RESPONSE | _connection_options(connection)
    if is_204:  # RFC 9110 section 8.6: a 204 has no length
        dropped |= {b"content-length"}
    indexes = [
        index
        for index, key in enumerate(keys)
        if key not in dropped and not key.startswith(_DROPPED_RESPONSE_PREFIXES)
    ]
    if len(indexes) > 1:  # with a single index, itemgetter returns no tuple
        return itemgetter(*indexes)
    return lambda headers: tuple([headers[index] for index in indexes])


def _connection_options(connection: bytes) -> frozenset[bytes]:
    """The names in a Connection header in lower case: they are hop-by-hop headers too.

    The length is never one of them, because it frames the message (RFC 9112 section 6.3).
    """
    return frozenset(map(bytes.strip, connection.split(b","))) - {b"content-length"}
