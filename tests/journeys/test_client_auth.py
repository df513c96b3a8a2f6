"""Client authentication and access rules, from the client's bytes to what OVHcloud received."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.raw import RawAnswer, request, say
from support.running import RunningProxy, StartProxy, with_rules

from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.settings import Client, Listener, Settings, TcpAddress
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

TOKEN = "MadeUpClientToken0123456789abcdef"
WRONG = "MadeUpClientToken0123456789abcdeX"
LOOPBACK = TcpAddress("127.0.0.1", 0)


def rules(*texts: str) -> tuple[AccessRule, ...]:
    return tuple(rule for text in texts for rule in parse_access_rule(text))


def a_client(name: str, token: str = "", *profiles: str, may: tuple[str, ...] | None = None):
    digest = hashlib.sha256((token or f"{name}-token").encode()).digest()
    return Client(name, digest, profiles, None if may is None else rules(*may))


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def basic(token: str, user: str = "anybody") -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def application(token: str) -> str:
    return f"X-Ovh-Application: {token}"


PLACES: dict[str, Callable[[str], str]] = {
    "Bearer": bearer,
    "Basic": basic,
    "X-Ovh-Application": application,
}


def calls(sandbox: Sandbox) -> list[bytes]:
    """Returns what reached OVHcloud, without clock requests."""
    return [r.target for r in sandbox.requests if r.target != b"/1.0/auth/time"]


@pytest.fixture
def guarded(settings: Settings) -> Settings:
    """One client without restrictions."""
    return replace(settings, clients=(a_client("ci", TOKEN),))


# -- tokens


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_a_token_is_accepted_in_every_header_and_never_forwarded(
    guarded: Settings, start_proxy: StartProxy, sandbox: Sandbox, place: Callable[[str], str]
) -> None:
    proxy = await start_proxy(guarded)

    response = await say(proxy.url, request("/me", place(TOKEN)))

    assert response.status == 200
    received = sandbox.requests[-1]
    assert received.verdict.startswith("signed by")
    forwarded = b"".join(name + value for name, value in received.headers)
    assert TOKEN.encode() not in forwarded
    assert base64.b64encode(f"anybody:{TOKEN}".encode()) not in forwarded
    assert TOKEN.encode() not in response.text


async def test_a_valid_token_is_accepted_beside_wrong_ones(
    guarded: Settings, start_proxy: StartProxy, sandbox: Sandbox
) -> None:
    proxy = await start_proxy(guarded)

    responses = [
        await say(proxy.url, request("/me", bearer(TOKEN), application("an SDK's own key"))),
        await say(proxy.url, request("/me", bearer("another's"), application(TOKEN))),
    ]

    assert [response.status for response in responses] == [200, 200]


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Authorization:",),
        ("Authorization: Bearer",),
        ("Authorization: Bearer  ",),
        ("Authorization: Negotiate abc",),
        ("Authorization: Basic !!!",),
        (basic(""),),
        ("X-Ovh-Application:",),
        (f"X-Ovh-Consumer: {TOKEN}",),
        (f"Cookie: token={TOKEN}",),
        (f"Proxy-Authorization: Bearer {TOKEN}",),
    ],
    ids=str,
)
async def test_without_a_token_nothing_is_forwarded(
    guarded: Settings, start_proxy: StartProxy, sandbox: Sandbox, lines: tuple[str, ...]
) -> None:
    proxy = await start_proxy(guarded)

    response = await say(proxy.url, request("/me", *lines))

    assert (response.status, response.code) == (401, "CLIENT_TOKEN_REQUIRED")
    assert (
        response.header(
            "WWW-Authenticate",
        )
        == 'Bearer realm="ovh-proxy", Basic realm="ovh-proxy"'
    )
    assert calls(sandbox) == []


def without_id(response: RawAnswer) -> bytes:
    request_id = response.header("X-Ovh-Proxy-Request-Id")
    assert request_id is not None
    return response.text.replace(request_id.encode(), b"ID")


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_wrong_unknown_and_misplaced_tokens_get_the_same_response(
    guarded: Settings, start_proxy: StartProxy, sandbox: Sandbox, place: Callable[[str], str]
) -> None:
    closed = Listener(LOOPBACK, clients=frozenset({"nobody-but-me"}))
    clients = (*guarded.clients, a_client("nobody-but-me"))
    proxy = await start_proxy(replace(guarded, clients=clients, listen=(closed,)))
    tokens = [WRONG, "x", "nobody-but-m", TOKEN, hashlib.sha256(TOKEN.encode()).hexdigest()]

    responses = [await say(proxy.url, request("/me", place(token))) for token in tokens]

    assert {(response.status, response.code) for response in responses} == {
        (401, "CLIENT_TOKEN_REFUSED")
    }
    assert len({without_id(response) for response in responses}) == 1
    assert calls(sandbox) == []


async def test_a_listener_accepts_only_its_own_clients(
    settings: Settings, start_proxy: StartProxy, sandbox: Sandbox
) -> None:
    clients = (a_client("one"), a_client("two"))
    for_one = Listener(LOOPBACK, clients=frozenset({"one"}))
    proxy = await start_proxy(replace(settings, clients=clients, listen=(for_one,)))

    one, two = [
        await say(proxy.url, request("/me", bearer(token))) for token in ("one-token", "two-token")
    ]

    assert (one.status, two.status) == (200, 401)
    assert len(calls(sandbox)) == 1


# -- profiles and rules


@pytest.mark.parametrize(
    ("target", "lines", "status", "verdict"),
    [
        ("/me", (), 200, "token"),
        ("/@card/me", (), 200, "token"),
        ("/@personal/me", (), 403, None),
        ("/me", ("X-Ovh-Proxy-Profile: personal",), 403, None),
        ("/@personal/me", ("X-Ovh-Proxy-Profile: card",), 403, None),
        ("/@nosuch/me", (), 403, None),
        ("/@card/me", ("X-Ovh-Proxy-Profile: personal",), 200, "token"),
    ],
    ids=[
        "its first",
        "its second",
        "another",
        "by header",
        "prefix wins",
        "unknown",
        "header loses",
    ],
)
async def test_a_pinned_client_can_use_only_its_profiles(
    settings: Settings,
    start_proxy: StartProxy,
    sandbox: Sandbox,
    target: str,
    lines: tuple[str, ...],
    status: int,
    verdict: str | None,
) -> None:
    client = a_client("ci", TOKEN, "robot", "card")
    proxy = await start_proxy(replace(settings, clients=(client,)))

    response = await say(proxy.url, request(target, bearer(TOKEN), *lines))

    assert (response.status, response.code) == (status, None if verdict else "PROFILE_REFUSED")
    verdicts = [r.verdict for r in sandbox.requests if r.target == b"/1.0/me"]
    assert verdicts == ([verdict] if verdict else [])


@pytest.mark.parametrize(
    ("method", "target", "denied_by"),
    [
        ("GET", "/me", None),
        ("HEAD", "/me", None),
        ("GET", "/me/bill", "client ci"),
        ("GET", "/domain/zone", "profile personal"),
        ("PUT", "/me", "profile personal"),
        ("GET", "/dedicated/server", "profile personal"),
        ("GET", "/1.0/me", None),
        ("GET", "/v1/me", None),
        ("GET", "/v2/me", "profile personal"),
        ("GET", "/%6de", "profile personal"),
    ],
)
async def test_the_rules_of_client_and_profile_must_both_allow_a_call(
    settings: Settings,
    start_proxy: StartProxy,
    sandbox: Sandbox,
    method: str,
    target: str,
    denied_by: str | None,
) -> None:
    client = a_client("ci", TOKEN, may=("GET,PUT /me", "read-only /domain"))
    narrowed = with_rules(replace(settings, clients=(client,)), "GET /me", "GET /me/*")
    proxy = await start_proxy(narrowed)

    response = await say(proxy.url, request(target, bearer(TOKEN), method=method))

    if denied_by is None:
        assert (response.status, len(calls(sandbox))) == (200, 1)
    else:
        assert (response.status, response.code) == (403, "ACCESS_DENIED")
        assert f"no access rule of {denied_by} grants" in response.json["message"]
        assert calls(sandbox) == []


# -- own routes


@pytest.mark.parametrize(
    ("route", "pinned", "free"),
    [
        ("healthz", 200, 200),
        ("readyz", 200, 200),
        ("version", 200, 200),
        ("profiles", 200, 200),
        ("metrics", 403, 200),
        ("", 403, 200),
        ("nosuch", 404, 404),
    ],
)
async def test_own_routes_depend_on_the_client(
    settings: Settings, start_proxy: StartProxy, route: str, pinned: int, free: int
) -> None:
    clients = (a_client("pinned", "", "robot"), a_client("free"))
    proxy = await start_proxy(replace(settings, clients=clients))
    await say(proxy.url, request("/me", bearer("free-token")))  # fetches the clock

    responses = [
        await say(proxy.url, request(f"/-/{route}", *lines))
        for lines in ((bearer("pinned-token"),), (bearer("free-token"),), ())
    ]

    assert [response.status for response in responses] == [pinned, free, 401]


async def test_a_client_sees_only_its_own_profiles(
    settings: Settings, start_proxy: StartProxy
) -> None:
    proxy = await start_proxy(replace(settings, clients=(a_client("ci", TOKEN, "robot", "card"),)))

    response = await say(proxy.url, request("/-/profiles", bearer(TOKEN)))

    assert [profile["name"] for profile in response.json["profiles"]] == ["robot", "card"]
    assert b"personal" not in response.text


# -- authentication comes first


@pytest.mark.parametrize("target", ["/me", "/-/healthz", "/-/metrics", "/a//b", "/@nosuch/me"])
async def test_a_preflight_is_rejected_before_anything_else(
    guarded: Settings, start_proxy: StartProxy, sandbox: Sandbox, target: str
) -> None:
    proxy = await start_proxy(guarded)
    asks = (
        "Origin: https://site.example",
        "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Private-Network: true",
    )

    response = await say(proxy.url, request(target, *asks, method="OPTIONS"))

    assert (response.status, response.code) == (403, "ORIGIN_REFUSED")
    assert b"access-control" not in response.text.lower()
    assert calls(sandbox) == []


REFUSED = {
    "host": (403, ("Host: site.example",)),
    "origin": (403, ("Origin: https://site.example",)),
    "null origin": (403, ("Origin: null",)),
    "fetch site": (403, ("Sec-Fetch-Site: cross-site",)),
    "same site": (403, ("Sec-Fetch-Site: same-site",)),
    "localhost name": (403, ("Host: a.localhost", "Sec-Fetch-Mode: navigate")),
    "no token": (401, ()),
    "wrong token": (401, (bearer(WRONG),)),
}


@pytest.mark.parametrize(("status", "lines"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
async def test_a_rejected_client_never_gets_100_continue(
    guarded: Settings,
    start_proxy: StartProxy,
    sandbox: Sandbox,
    method: str,
    status: int,
    lines: tuple[str, ...],
) -> None:
    proxy = await start_proxy(guarded)
    waits = ("Expect: 100-continue", "Content-Length: 999")

    response = await say(proxy.url, request("/me", *lines, *waits, method=method))

    assert response.status == status
    assert b"100 Continue" not in response.text
    assert calls(sandbox) == []


async def test_http_1_0_without_a_host_is_rejected(
    guarded: Settings, start_proxy: StartProxy, sandbox: Sandbox
) -> None:
    proxy = await start_proxy(guarded)
    head = f"GET /me HTTP/1.0\r\n{bearer(TOKEN)}\r\n"

    without = await say(proxy.url, f"{head}\r\n".encode())
    with_one = await say(proxy.url, f"{head}Host: localhost\r\n\r\n".encode())

    assert (without.status, without.code) == (400, "BAD_REQUEST")
    assert with_one.status == 200
    assert len(calls(sandbox)) == 1


async def test_an_authentication_failure_is_counted_without_a_client_and_logged(
    guarded: Settings, start_proxy: StartProxy
) -> None:
    proxy = await start_proxy(guarded)

    await say(proxy.url, request("/me?word=value", "Host: site.example", bearer(TOKEN)))

    (record,) = [r for r in records(proxy) if r["message"] == "request"]
    assert (record["client"], record["profile"], record["path"]) == ("-", "-", "/me")
    assert record["error"] == "HOST_REFUSED"


def records(proxy: RunningProxy) -> list[dict[str, object]]:
    return [json.loads(line) for line in proxy.log.getvalue().splitlines()]
