"""What httpbin is asked, and how two answers are compared. No I/O."""

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request to httpbin."""

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_chunked: bool = False

    @property
    def name(self) -> str:
        """It for a reader."""
        extra = [f"{name}: {value[:24]}" for name, value in self.headers]
        extra += ["chunked"] if self.is_chunked else []
        extra += [f"{len(self.body)} bytes"] if self.body else []
        return f"{self.method} {self.target}" + (f" ({', '.join(extra)})" if extra else "")


@dataclass(frozen=True, slots=True)
class Told:
    """An answer: its body unframed, its end-to-end headers in order."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


_JSON = (("Content-Type", "application/json"),)
ASKS = (
    *(Ask(f"/{method.lower()}?a=1&a=2&b", method) for method in METHODS if method == "GET"),
    *(Ask(f"/{m.lower()}", m, _JSON, b'{"a": [1, "\xc3\xa9"]}') for m in METHODS if m != "GET"),
    *(Ask("/anything/a%2Fb/c%20d?x=%2B+y&z=", method) for method in (*METHODS, "OPTIONS")),
    Ask("/anything", "POST", (), b"x" * 100_000),
    Ask("/anything", "POST", (("Content-Type", "text/plain"),), b"in chunks", is_chunked=True),
    Ask("/anything", "POST", (("Content-Encoding", "gzip"),), b"\x1f\x8b no gzip at all"),
    Ask("/anything", headers=(("X-Many", "1"), ("x-many", "2"), ("X-Empty", ""))),
    Ask("/anything", headers=(("Authorization", "Basic eDp5"), ("Cookie", "a=b"))),
    Ask("/anything", headers=(("Accept-Encoding", "gzip, br"), ("User-Agent", "tests"))),
    *(Ask(f"/status/{status}") for status in (200, 204, 304, 400, 401, 403, 404, 418, 429)),
    *(Ask(f"/status/{status}", "POST") for status in (201, 500, 502, 503)),
    *(Ask(target) for target in ("/gzip", "/deflate", "/encoding/utf8", "/json")),
    *(Ask(target) for target in ("/html", "/xml", "/robots.txt", "/image/png", "/image/webp")),
    *(Ask(target) for target in ("/bytes/0?seed=1", "/bytes/1024?seed=1", "/bytes/102400?seed=1")),
    *(Ask(f"/stream-bytes/100000?seed=1&chunk_size={size}") for size in (7, 1024, 65536)),
    *(Ask(target) for target in ("/stream/1", "/stream/20", "/drip?numbytes=5&duration=1&delay=0")),
    Ask("/range/1024"),
    Ask("/range/1024", headers=(("Range", "bytes=10-20"),)),
    Ask("/range/1024", headers=(("Range", "bytes=2000-"),)),
    Ask("/cache"),
    Ask("/cache", headers=(("If-None-Match", '"a"'),)),
    Ask("/etag/a", headers=(("If-None-Match", '"a"'),)),
    Ask("/etag/a", headers=(("If-Match", '"b"'),)),
    *(Ask(target) for target in ("/redirect/2", "/relative-redirect/1", "/absolute-redirect/1")),
    Ask("/redirect-to?url=http%3A%2F%2Fexample.com%2F&status_code=307", "POST"),
    *(Ask(target) for target in ("/cookies", "/cookies/set?a=b", "/cookies/delete?a")),
    *(Ask(target) for target in ("/basic-auth/x/y", "/bearer", "/digest-auth/auth/x/y")),
    Ask("/response-headers?X-A=1&X-A=2&Server=mine"),
    *(Ask(target) for target in ("/delay/1", "/user-agent", "/headers", "/ip", "/links/3/1")),
    Ask("/html", "HEAD"),
    Ask("/no/such/page", "DELETE"),
)
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "date"})
# In an echo, these name the way that was taken.
_WAY = ("origin", "url")
_WAY_HEADERS = ("Host", "Connection")
# What ovh-proxy promises to do to every answer, and what a signature is made of.
PROMISED_ANSWER = {"+ X-Ovh-Proxy-Request-Id", "- Access-Control-Allow-Credentials"}
PROMISED_ANSWER |= {"- Access-Control-Allow-Origin"}
_PROOF = ("X-Ovh-Application", "X-Ovh-Consumer", "X-Ovh-Signature", "X-Ovh-Timestamp")
PROMISED = PROMISED_ANSWER | {f"+ {name} upstream" for name in _PROOF}


def differences(direct: Told, through: Told, origins: tuple[str, str]) -> list[str]:
    """What is not the same; empty where all is.

    Args:
        origins: of httpbin and of the proxy; what names the one may name the other.
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
        return found if direct.body == ours else [*found, "another body"]
    found += _lines(one[1], other[1], origins, " upstream")
    # An echo is as long as what it echoes.
    found = [line for line in found if line != "changed Content-Length"]
    return found if one[0] == other[0] else [*found, "another body"]


def _echo(told: Told) -> tuple[list[dict[str, Any]], tuple[tuple[str, str], ...]] | None:
    """What httpbin got, without the way that it came: all but the headers, and the headers."""
    try:
        text = _decoded(told)
        is_one = text.startswith(b"{\n")
        said = [json.loads(part) for part in ([text] if is_one else text.splitlines())]
    except ValueError:
        return None
    if not said or not all(isinstance(one, dict) and "headers" in one for one in said):
        return None
    headers = {key: value for key, value in said[0]["headers"].items() if key not in _WAY_HEADERS}
    way = (*_WAY, "headers")
    rest = [{key: value for key, value in one.items() if key not in way} for one in said]
    return rest, tuple(sorted(headers.items()))


def _decoded(told: Told) -> bytes:
    coding = _by_name(told.headers).get("content-encoding", [""])[0]
    decode = {"gzip": gzip.decompress, "deflate": zlib.decompress}.get(coding)
    try:
        return told.body if decode is None else decode(told.body)
    except (OSError, EOFError, zlib.error):
        return told.body


def _lines(
    direct: tuple[tuple[str, str], ...],
    through: tuple[tuple[str, str], ...],
    origins: tuple[str, str],
    where: str = "",
) -> list[str]:
    """Headers that are gone, new or changed."""
    before, after = (
        {
            name: [
                # Relative or absolute, it leads to the same page.
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
