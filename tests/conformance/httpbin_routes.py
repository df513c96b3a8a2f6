"""The requests sent to httpbin, and the comparison of two responses. No I/O."""

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Request:
    """One request to httpbin."""

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_chunked: bool = False

    @property
    def name(self) -> str:
        """The request as shown in the table."""
        extra = [f"{name}: {value[:24]}" for name, value in self.headers]
        extra += ["chunked"] if self.is_chunked else []
        extra += [f"{len(self.body)} bytes"] if self.body else []
        return f"{self.method} {self.target}" + (f" ({', '.join(extra)})" if extra else "")


@dataclass(frozen=True, slots=True)
class Response:
    """A response: its body without framing, and its end-to-end headers in order."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


_JSON = (("Content-Type", "application/json"),)
REQUESTS = (
    *(Request(f"/{method.lower()}?a=1&a=2&b", method) for method in METHODS if method == "GET"),
    *(Request(f"/{m.lower()}", m, _JSON, b'{"a": [1, "\xc3\xa9"]}') for m in METHODS if m != "GET"),
    *(Request("/anything/a%2Fb/c%20d?x=%2B+y&z=", method) for method in (*METHODS, "OPTIONS")),
    Request("/anything", "POST", (), b"x" * 100_000),
    Request("/anything", "POST", (("Content-Type", "text/plain"),), b"in chunks", is_chunked=True),
    Request("/anything", "POST", (("Content-Encoding", "gzip"),), b"\x1f\x8b no gzip at all"),
    Request("/anything", headers=(("X-Many", "1"), ("x-many", "2"), ("X-Empty", ""))),
    Request("/anything", headers=(("Authorization", "Basic eDp5"), ("Cookie", "a=b"))),
    Request("/anything", headers=(("Accept-Encoding", "gzip, br"), ("User-Agent", "tests"))),
    *(Request(f"/status/{status}") for status in (200, 204, 304, 400, 401, 403, 404, 418, 429)),
    *(Request(f"/status/{status}", "POST") for status in (201, 500, 502, 503)),
    *(Request(target) for target in ("/gzip", "/deflate", "/encoding/utf8", "/json")),
    *(Request(target) for target in ("/html", "/xml", "/robots.txt", "/image/png", "/image/webp")),
    *(
        Request(target)
        for target in ("/bytes/0?seed=1", "/bytes/1024?seed=1", "/bytes/102400?seed=1")
    ),
    *(Request(f"/stream-bytes/100000?seed=1&chunk_size={size}") for size in (7, 1024, 65536)),
    *(
        Request(target)
        for target in ("/stream/1", "/stream/20", "/drip?numbytes=5&duration=1&delay=0")
    ),
    Request("/range/1024"),
    Request("/range/1024", headers=(("Range", "bytes=10-20"),)),
    Request("/range/1024", headers=(("Range", "bytes=2000-"),)),
    Request("/cache"),
    Request("/cache", headers=(("If-None-Match", '"a"'),)),
    Request("/etag/a", headers=(("If-None-Match", '"a"'),)),
    Request("/etag/a", headers=(("If-Match", '"b"'),)),
    *(
        Request(target)
        for target in ("/redirect/2", "/relative-redirect/1", "/absolute-redirect/1")
    ),
    Request("/redirect-to?url=http%3A%2F%2Fexample.com%2F&status_code=307", "POST"),
    *(Request(target) for target in ("/cookies", "/cookies/set?a=b", "/cookies/delete?a")),
    *(Request(target) for target in ("/basic-auth/x/y", "/bearer", "/digest-auth/auth/x/y")),
    Request("/response-headers?X-A=1&X-A=2&Server=mine"),
    *(Request(target) for target in ("/delay/1", "/user-agent", "/headers", "/ip", "/links/3/1")),
    Request("/html", "HEAD"),
    Request("/no/such/page", "DELETE"),
)
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "date"})
# In an echo, these fields depend on the route that the request took.
_ROUTE = ("origin", "url")
_ROUTE_HEADERS = ("Host", "Connection")
# The documented changes of ovh-proxy to every response, and the headers of a signature.
DOCUMENTED_RESPONSE = {"+ X-Ovh-Proxy-Request-Id", "- Access-Control-Allow-Credentials"}
DOCUMENTED_RESPONSE |= {"- Access-Control-Allow-Origin"}
_SIGNATURE = ("X-Ovh-Application", "X-Ovh-Consumer", "X-Ovh-Signature", "X-Ovh-Timestamp")
DOCUMENTED = DOCUMENTED_RESPONSE | {f"+ {name} upstream" for name in _SIGNATURE}


def differences(direct: Response, through: Response, origins: tuple[str, str]) -> list[str]:
    """The differences between two responses; empty if there are none.

    Args:
        origins: those of httpbin and of the proxy; they are treated as equal.
    """
    found = []
    if direct.status != through.status:
        found.append(f"status {through.status}, not {direct.status}")
    if direct.reason != through.reason:
        found.append(f"reason `{through.reason}`, not `{direct.reason}`")
    found += _lines(direct.headers, through.headers, origins)
    one, other = _echo(direct), _echo(through)
    if one is None or other is None:
        ours = through.body.replace(origins[1].encode(), origins[0].encode())
        return found if direct.body == ours else [*found, "different body"]
    found += _lines(one[1], other[1], origins, " upstream")
    # The length of an echo depends on what it echoes.
    found = [line for line in found if line != "changed Content-Length"]
    return found if one[0] == other[0] else [*found, "different body"]


def _echo(response: Response) -> tuple[list[dict[str, Any]], tuple[tuple[str, str], ...]] | None:
    """What httpbin received, without the route: everything but the headers, and the headers."""
    try:
        text = _decoded(response)
        is_one = text.startswith(b"{\n")
        echoes = [json.loads(part) for part in ([text] if is_one else text.splitlines())]
    except ValueError:
        return None
    if not echoes or not all(isinstance(one, dict) and "headers" in one for one in echoes):
        return None
    headers = {
        key: value for key, value in echoes[0]["headers"].items() if key not in _ROUTE_HEADERS
    }
    route = (*_ROUTE, "headers")
    rest = [{key: value for key, value in one.items() if key not in route} for one in echoes]
    return rest, tuple(sorted(headers.items()))


def _decoded(response: Response) -> bytes:
    coding = _by_name(response.headers).get("content-encoding", [""])[0]
    decode = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(coding)
    try:
        return response.body if decode is None else decode(response.body)
    except (OSError, EOFError, zlib.error):
        return response.body


def _lines(
    direct: tuple[tuple[str, str], ...],
    through: tuple[tuple[str, str], ...],
    origins: tuple[str, str],
    where: str = "",
) -> list[str]:
    """Headers that were removed, added or changed."""
    before, after = (
        {
            name: [
                # A relative and an absolute URL are the same page.
                urljoin(origins[0], text) if name == "location" else text
                for text in (value.replace(origins[1], origins[0]) for value in values)
            ]
            for name, values in _by_name(lines).items()
        }
        for lines in (direct, through)
    )
    gone = [f"- {name.title()}{where}" for name in before if name not in after]
    new = [f"+ {name.title()}{where}" for name in after if name not in before]
    both = [name for name in before if name in after and before[name] != after[name]]
    return sorted(gone) + sorted(new) + [f"changed {name.title()}{where}" for name in sorted(both)]


def _by_name(lines: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in lines:
        if name.lower() not in _HOP_BY_HOP:
            found.setdefault(name.lower(), []).append(value)
    return found
