"""Client authentication and access rules inside CONNECT to an endpoint's host."""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.intercepted import say_inside
from support.raw import RawAnswer, request
from support.running import StartProxy, with_rules

from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.settings import Client, Settings
from ovh_proxy.sandbox.api import Sandbox

pytestmark = pytest.mark.asyncio

TOKEN = "MadeUpClientToken0123456789abcdef"
BEARER = f"Authorization: Bearer {TOKEN}"
BASIC = "Authorization: Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode()

Ask = Callable[..., Awaitable[RawAnswer]]


def rules(*texts: str) -> tuple[AccessRule, ...]:
    return tuple(rule for text in texts for rule in parse_access_rule(text))


def a_client(*profiles: str, may: tuple[str, ...] | None = None) -> Client:
    digest = hashlib.sha256(TOKEN.encode()).digest()
    return Client("ci", digest, profiles, None if may is None else rules(*may))


def calls(sandbox: Sandbox) -> list[bytes]:
    """Returns what reached OVHcloud, without clock requests."""
    return [r.target for r in sandbox.requests if r.target != b"/1.0/auth/time"]


@pytest.fixture
def host(sandbox: Sandbox) -> str:
    """The host of the sandbox, as a client of an HTTP proxy names it."""
    return urlsplit(sandbox.base_url).netloc


@pytest.fixture
def ask(settings: Settings, start_proxy: StartProxy, tmp_path: Path, host: str) -> Ask:
    """Sends a request inside CONNECT to a proxy with one client."""

    async def ask_inside(
        text: bytes, *, client: Client | None = None, narrowed: Settings = settings
    ):
        changed = replace(
            narrowed,
            clients=(client or a_client(),),
            intercept=True,
            state_directory=str(tmp_path),
        )
        proxy = await start_proxy(changed)
        return await say_inside(proxy.url, tmp_path, host, text)

    return ask_inside


@pytest.mark.parametrize("line", [BEARER, BASIC, f"X-Ovh-Application: {TOKEN}"], ids=str.split)
async def test_a_token_is_accepted_in_every_header_and_never_forwarded(
    ask: Ask, sandbox: Sandbox, host: str, line: str
) -> None:
    response = await ask(request("/1.0/me", f"Host: {host}", line))

    assert response.status == 200
    received = sandbox.requests[-1]
    assert received.verdict.startswith("signed by")
    assert TOKEN.encode() not in b"".join(name + value for name, value in received.headers)


REFUSED = {
    "another host": (403, "HOST_REFUSED", ("Host: site.example",)),
    "the proxy's own host": (403, "HOST_REFUSED", ("Host: localhost",)),
    "a localhost name": (403, "HOST_REFUSED", ("Host: a.localhost",)),
    "origin": (403, "ORIGIN_REFUSED", ("Host: HOST", BEARER, "Origin: https://site.example")),
    "null origin": (403, "ORIGIN_REFUSED", ("Host: HOST", BEARER, "Origin: null")),
    "fetch site": (403, "ORIGIN_REFUSED", ("Host: HOST", BEARER, "Sec-Fetch-Site: cross-site")),
    "same site": (403, "ORIGIN_REFUSED", ("Host: HOST", BEARER, "Sec-Fetch-Site: same-site")),
    "no token": (401, "CLIENT_TOKEN_REQUIRED", ("Host: HOST",)),
    "wrong token": (401, "CLIENT_TOKEN_REFUSED", ("Host: HOST", BEARER + "x")),
    "a key of an SDK": (401, "CLIENT_TOKEN_REFUSED", ("Host: HOST", "X-Ovh-Application: a")),
}


@pytest.mark.parametrize(("status", "code", "lines"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_a_rejected_client_never_gets_100_continue(
    ask: Ask,
    sandbox: Sandbox,
    host: str,
    method: str,
    status: int,
    code: str,
    lines: tuple[str, ...],
) -> None:
    waits = ("Expect: 100-continue", "Content-Length: 999")
    headers = [line.replace("HOST", host) for line in lines]

    response = await ask(request("/1.0/me", *headers, *waits, method=method))

    assert (response.status, response.code) == (status, code)
    assert b"100 Continue" not in response.text
    assert b"access-control" not in response.text.lower()
    assert calls(sandbox) == []


@pytest.mark.parametrize(
    ("target", "line", "verdict", "code"),
    [
        ("/1.0/me", "", "token", None),
        ("/@card/1.0/me", "", "token", None),
        ("/@personal/1.0/me", "", None, "PROFILE_REFUSED"),
        ("/1.0/me", "X-Ovh-Proxy-Profile: personal", None, "PROFILE_REFUSED"),
        ("/@nosuch/1.0/me", "", None, "PROFILE_REFUSED"),
    ],
    ids=["its first", "its second", "another", "by header", "unknown"],
)
async def test_a_pinned_client_can_use_only_its_profiles(
    ask: Ask,
    sandbox: Sandbox,
    host: str,
    target: str,
    line: str,
    verdict: str | None,
    code: str | None,
) -> None:
    lines = [f"Host: {host}", BEARER, *([line] if line else [])]

    response = await ask(request(target, *lines), client=a_client("robot", "card"))

    assert response.code == code
    verdicts = [r.verdict for r in sandbox.requests if r.target == b"/1.0/me"]
    assert verdicts == ([verdict] if verdict else [])


@pytest.mark.parametrize(
    ("method", "target", "denied_by"),
    [
        ("GET", "/1.0/me", None),
        ("HEAD", "/v1/me", None),
        ("GET", "/1.0/me/bill", "client ci"),
        ("GET", "/1.0/domain/zone", "profile personal"),
        ("PUT", "/1.0/me", "profile personal"),
        ("GET", "/v2/me", "profile personal"),
        ("GET", "/1.0/%6de", "profile personal"),
    ],
)
async def test_the_rules_of_client_and_profile_must_both_allow_a_call(
    ask: Ask,
    settings: Settings,
    sandbox: Sandbox,
    host: str,
    method: str,
    target: str,
    denied_by: str | None,
) -> None:
    client = a_client(may=("GET,PUT /me", "read-only /domain"))
    narrowed = with_rules(settings, "GET /me", "GET /me/*")
    text = request(target, f"Host: {host}", BEARER, method=method)

    response = await ask(text, client=client, narrowed=narrowed)

    assert (response.status == 200) == (denied_by is None)
    assert len(calls(sandbox)) == (denied_by is None)
    if denied_by is not None:
        assert f"no access rule of {denied_by} grants" in response.json["message"]


@pytest.mark.parametrize("route", ["healthz", "readyz", "metrics", "profiles", ""])
async def test_the_proxys_own_routes_are_not_served_inside(
    ask: Ask, sandbox: Sandbox, host: str, route: str
) -> None:
    response = await ask(request(f"/-/{route}", f"Host: {host}", BEARER))

    assert (response.status, response.code) == (404, "UNKNOWN_ROUTE")
    assert calls(sandbox) == []
