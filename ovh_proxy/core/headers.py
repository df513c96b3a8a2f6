"""Which headers cross the proxy, in each direction."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ovh_proxy.core.errors import BadRequest, ExpectationFailed
from ovh_proxy.core.messages import Headers, ResponseHead

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
    stays = _STAYS_HERE | _named_by_connection(headers.raw, headers.keys)
    return _crossing(headers.raw, headers.keys, stays, _STAYS_HERE_PREFIXES)


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
    if b"connection" in head.keys and (named := _named_by_connection(head.headers, head.keys)):
        return _crossing(head.headers, head.keys, _DROPPED | named, _DROPPED_PREFIXES)
    places = _response_places(head.keys)
    headers = head.headers
    return headers if len(places) == len(headers) else tuple([headers[i] for i in places])


@lru_cache(maxsize=64)  # answers of a kind name the same headers
def _response_places(keys: tuple[bytes, ...]) -> tuple[int, ...]:
    """Where the headers stand that go on to the client."""
    return _crossing_places(keys, _DROPPED, _DROPPED_PREFIXES)


def _crossing(
    raw: Headers, keys: Sequence[bytes], stays: frozenset[bytes], prefixes: tuple[bytes, ...]
) -> Headers:
    return tuple([raw[i] for i in _crossing_places(keys, stays, prefixes)])


def _crossing_places(
    keys: Sequence[bytes], stays: frozenset[bytes], prefixes: tuple[bytes, ...]
) -> tuple[int, ...]:
    return tuple(
        [i for i, key in enumerate(keys) if key not in stays and not key.startswith(prefixes)]
    )


def _named_by_connection(raw: Headers, keys: Sequence[bytes]) -> frozenset[bytes]:
    values = b",".join(
        [value for (_, value), key in zip(raw, keys, strict=True) if key == b"connection"]
    ).lower()
    # Nearly always one of these, which are no names of headers that would cross.
    if values in (b"keep-alive", b"close"):
        return frozenset()
    return frozenset(map(bytes.strip, values.split(b",")))
