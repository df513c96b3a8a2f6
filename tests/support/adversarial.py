"""Heads that try to cost more than their bytes, at each stage of a request that meets them."""

from collections.abc import Callable
from contextlib import suppress

from ovh_proxy.core.access_rules import authorize, authorize_batch, parse_access_rule
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.core.redaction import redact_path, redact_target
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import (
    Client,
    Limits,
    Listener,
    Profile,
    Settings,
    Store,
    TcpAddress,
)
from ovh_proxy.core.target import parse_target
from ovh_proxy.http1.request_head import check_head, check_start, check_trailer
from ovh_proxy.ovhcloud.messages import Headers, ResponseHead
from ovh_proxy.policy.client_auth import EntryPoint, admit
from ovh_proxy.policy.headers import RequestHeaders, request_headers, response_headers
from ovh_proxy.policy.routing import find_route, local_location

LIMITS = Limits(line_bytes=65_536)
RULES = tuple(
    rule
    for text in ("GET /domain/*", "GET /*a*a*a*a*a*a*a*b", "GET /*%2F*%2F*c", "POST /auth/x")
    for rule in parse_access_rule(text)
)
KEYS = ApplicationCredential(Secret("k" * 16), Secret("s" * 32), Secret("c" * 32))
PROFILE = Profile("personal", parse_endpoint("ovh-eu"), KEYS, RULES)
STORE = Store({"personal": PROFILE}, "personal", "store.yaml")
CLIENTS = tuple(Client(f"client-{n}", n.to_bytes(32)) for n in range(50))
SETTINGS = Settings(store=STORE, clients=CLIENTS)
ENTRY = EntryPoint(Listener(TcpAddress("127.0.0.1", 8080)), "http", "127.0.0.1", 8080)
HOLDERS = (("profile personal", RULES), ("client ci", RULES))

# Paths by how many bytes they have.
PATHS: dict[str, Callable[[int], str]] = {
    "percent signs": lambda n: "/" + "%" * n,
    "escapes": lambda n: "/" + "%41" * (n // 3),
    "escaped digits": lambda n: "/" + "%25%34%31" * (n // 9),
    "escaped percent signs": lambda n: "/" + "%25" * (n // 3),
    "an escape nested deep": lambda n: "/%" + "25" * (n // 2) + "41",
    "many escapes nested deep": lambda n: "/" + ("%" + "25" * 14 + "41") * (n // 31),
    "escapes that make escapes": lambda n: "/" + "%25%32%35%33%34%33%31" * (n // 21),
    "slashes by escapes": lambda n: "/" + "a%2F" * (n // 4),
    "dots": lambda n: "/" + "a/.b/" * (n // 5),
    "what a rule looks for": lambda n: "/" + "a" * n,
    "segments": lambda n: "/x" * (n // 2),
    "versions": lambda n: "/v2" * (n // 3),
    "a name": lambda n: "/@" + "n" * n + "/me",
}
BATCHES: dict[str, Callable[[int], str]] = {
    "elements": lambda n: "/domain/zone/" + ",".join(["1"] * (n // 2)),
    "escaped elements": lambda n: "/domain/zone/" + ",".join(["%41"] * (n // 4)),
    "elements behind a long path": lambda n: f"/domain/{'x' * (n // 2)}/" + "1," * (n // 4) + "1",
    "two lists": lambda n: f"/domain/{'1,' * (n // 4)}1/{'2,' * (n // 4)}2",
    "many lists": lambda n: "/1,2" * (n // 4),
    "the example of the report": lambda n: f"/domain/zone/{'%25' * (n // 6)}41/{'1,' * (n // 4)}1",
}
HEADERS: dict[str, Callable[[int], Headers]] = {
    "one name": lambda n: tuple((b"a" * (n // 128), b"") for _ in range(128)),
    "other names": lambda n: tuple((b"x%d" % i, b"v" * (n // 128)) for i in range(128)),
    "connection options": lambda n: ((b"Host", b"localhost"), (b"Connection", b"a," * (n // 2))),
    "tokens": lambda n: (
        (b"Host", b"localhost"),
        (b"X-Ovh-Application", b"t" * (n // 2)),
        (b"Authorization", b"Bearer " + b"t" * (n // 2)),
    ),
    "a host": lambda n: ((b"Host", b"a" * n),),
    "an origin": lambda n: ((b"Host", b"localhost"), (b"Origin", b"http://" + b"a" * n)),
    "blanks": lambda n: ((b"Host", b"localhost"), (b"Authorization", b"Basic " + b" " * n)),
}
STARTS: dict[str, Callable[[int], bytes]] = {
    "a method": lambda n: b"A" * n,
    "a target": lambda n: b"GET /" + b"a" * n,
    "blanks": lambda n: b"GET / " + b" " * n,
    "header lines": lambda n: b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (n // 4) + b"\r\n",
    "colons": lambda n: b"GET / HTTP/1.1\r\n" + b":" * n + b"\r\n\r\n",
    "returns": lambda n: b"GET / HTTP/1.1\r\n" + b"\r" * n + b"\r\n\r\n",
}


def _path_stages(path: str) -> dict[str, Callable[[], object]]:
    raw = path.encode("ascii")

    def route() -> object:
        found = find_route(parse_target(raw), None, (), STORE)
        authorize("GET", found.path, found.decoded_path, HOLDERS)
        return found

    return {
        "target and route": route,
        "log": lambda: (redact_target(raw), redact_path(raw)),
        "location": lambda: local_location("https://eu.api.ovh.com/1.0" + path, ROUTE, "http://x"),
    }


ROUTE = find_route(parse_target(b"/me"), None, (), STORE)


def _header_stages(headers: Headers) -> dict[str, Callable[[], object]]:
    def read() -> object:
        found = RequestHeaders(headers)
        sent = request_headers(found)
        return sent, admit(found, ENTRY, SETTINGS)

    return {
        "request headers": read,
        "response headers": lambda: response_headers(ResponseHead(200, b"", headers)),
    }


def cases() -> dict[str, Callable[[int], Callable[[], object]]]:
    """What each stage does with a head of so many bytes, by `stage: head`."""
    found: dict[str, Callable[[int], Callable[[], object]]] = {}
    for name, path in PATHS.items():
        for stage in _path_stages("/"):
            found[f"{stage}: {name}"] = lambda n, p=path, s=stage: _path_stages(p(n))[s]
    for name, path in BATCHES.items():
        found[f"batch: {name}"] = lambda n, p=path: _batch(p(n))
    for name, headers in HEADERS.items():
        for stage in _header_stages(()):
            found[f"{stage}: {name}"] = lambda n, h=headers, s=stage: _header_stages(h(n))[s]
    for name, start in STARTS.items():
        found[f"head: {name}"] = lambda n, b=start: lambda: check_head(b(n), LIMITS)
        found[f"start of a head: {name}"] = lambda n, b=start: lambda: check_start(b(n), LIMITS)
        found[f"trailer: {name}"] = lambda n, b=start: lambda: check_trailer(b(n)[-4096:])
    return {name: _guarded(case) for name, case in found.items()}


def _batch(path: str) -> Callable[[], object]:
    def work() -> object:
        route = find_route(parse_target(path.encode("ascii")), None, (), STORE)
        return authorize_batch("GET", route.path, b",", HOLDERS)

    return work


def _guarded(
    case: Callable[[int], Callable[[], object]],
) -> Callable[[int], Callable[[], object]]:
    def of_size(size: int) -> Callable[[], object]:
        work = case(size)

        def run() -> None:
            with suppress(OvhProxyError):
                work()

        return run

    return of_size
