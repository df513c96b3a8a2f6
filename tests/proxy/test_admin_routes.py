"""The proxy's own routes, on the main listeners and on the admin listener."""

import hashlib
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from support.proxy_server import BOUND_S, ProxyServer

from ovh_proxy import __version__
from ovh_proxy.auth.clock import Clocks
from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import AccessToken, ApplicationCredential, ServiceAccount
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Client, Listener, Settings, Store, TcpAddress
from ovh_proxy.observability.metrics import Metrics
from ovh_proxy.proxy.admin_routes import AdminRoutes, ServerState

if TYPE_CHECKING:
    from ovh_proxy.upstream.pool import Pool

ADMIN = TcpAddress("127.0.0.1", 0)
ALL_ROUTES = ["healthz", "readyz", "version", "profiles", "metrics", ""]
METRICS = [
    "ovh_proxy_requests_total",
    "ovh_proxy_request_duration_seconds",
    "ovh_proxy_upstream_duration_seconds",
    "ovh_proxy_requests_in_flight",
    "ovh_proxy_clock_delta_seconds",
    "ovh_proxy_credential_state",
    "ovh_proxy_credential_expires_timestamp_seconds",
    "ovh_proxy_config_last_reload_successful",
    "ovh_proxy_build_info",
]


def own(route: str, method: str = "GET", *lines: str) -> bytes:
    head = [f"{method} /-/{route} HTTP/1.1", "Host: localhost", *lines, "", ""]
    return "\r\n".join(head).encode()


@pytest.fixture
def client_named():
    """Makes clients whose token is their name."""

    def make(name: str, *profiles: str) -> Client:
        return Client(name, hashlib.sha256(name.encode()).digest(), profiles)

    return make


@pytest.mark.asyncio
@pytest.mark.parametrize("route", ALL_ROUTES)
async def test_each_route_responds(proxy_server, upstream, route):
    await proxy_server.ask(b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n")  # the clock is known

    answer = await proxy_server.ask(own(route))

    assert (answer.status, answer.code) == (200, None)
    assert len(upstream.requests) == 1


@pytest.mark.asyncio
async def test_the_content_of_the_small_routes(proxy_server):
    answers = {
        route: (await proxy_server.ask(own(route))).json for route in ("healthz", "version", "")
    }

    assert answers == {
        "healthz": {"status": "alive"},
        "version": {"name": "ovh-proxy", "version": __version__},
        "": {
            "routes": [
                "/-/healthz",
                "/-/readyz",
                "/-/metrics",
                "/-/profiles",
                "/-/version",
            ]
        },
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("listener", [0, 1], ids=["main", "admin"])
async def test_own_routes_are_read_only(start, upstream, method, listener):
    proxy_server = await start(admin_listen=ADMIN)
    conversation = await proxy_server.connect(listener)
    conversation.send(own("healthz", method, "Content-Length: 2") + b"{}" + own("healthz"))

    refusal, following = [await conversation.answer() for _ in range(2)]

    assert (refusal.status, refusal.code) == (405, "METHOD_REFUSED")
    assert refusal.value("Allow") == "GET, HEAD"
    assert following.status == 200
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_head_gets_no_body(proxy_server):
    answer = await proxy_server.ask(own("version", "HEAD"))

    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.value("Content-Length")) > 0


@pytest.mark.asyncio
@pytest.mark.parametrize("target", ["/-/nothing", "/-/healthz/", "/-/Healthz", "/-/-"])
async def test_an_unknown_own_route_gets_404_and_is_never_forwarded(proxy_server, upstream, target):
    answer = await proxy_server.ask(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert (answer.status, answer.code) == (404, "UNKNOWN_ROUTE")
    assert "/-/healthz" in answer.json["message"]
    assert upstream.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize("route", ["healthz", "readyz", "metrics"])
async def test_the_admin_listener_has_three_routes_without_authentication(
    start, client_named, route
):
    proxy_server = await start(admin_listen=ADMIN, clients=(client_named("ci"),))
    ask = own(route).replace(b"localhost", b"anything.example")

    main, admin = await proxy_server.ask(ask), await proxy_server.ask(ask, 1)

    assert main.status == 403
    assert admin.status in (200, 503)
    assert admin.code is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "target", ["/-/profiles", "/-/version", "/-/", "/me", "/", "/@personal/me"]
)
async def test_the_admin_listener_has_no_other_route(start, upstream, target):
    proxy_server = await start(admin_listen=ADMIN)

    answer = await proxy_server.ask(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode(), 1)

    assert (answer.status, answer.code) == (404, "UNKNOWN_ROUTE")
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_ready_once_the_clock_is_known(start, upstream):
    proxy_server = await start(level="warning")
    await proxy_server.ask(b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n")

    answer = await proxy_server.ask(own("readyz"))

    assert (answer.status, answer.json) == (200, {"status": "ready"})


@pytest.mark.asyncio
async def test_not_ready_while_the_clock_is_unknown(start, upstream):
    upstream.tells_time = False
    upstream.answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    proxy_server = await start()

    answer = await proxy_server.ask(own("readyz"))

    page = (await proxy_server.ask(own("metrics"))).body
    assert answer.status == 503
    assert b"ovh_proxy_clock_delta_seconds{" not in page
    assert answer.json["status"] == "not ready"
    assert "clock" in answer.json["reasons"][0]


@pytest.mark.asyncio
async def test_not_ready_without_a_store(start):
    proxy_server = await start(store=Store({}, None, "nowhere"))

    answer = await proxy_server.ask(own("readyz"))

    assert (answer.status, answer.json["reasons"]) == (503, ["no credential store is loaded"])


@pytest.mark.asyncio
async def test_profiles_show_everything_except_secrets(start, make_profile, make_store):
    keyless = ApplicationCredential(Secret("SecretKey"), Secret("SecretSecret"), None)
    account = ServiceAccount("SecretId", Secret("SecretOfAccount"), "https://localhost/token")
    rules = (AccessRule(frozenset({"GET"}), "/me"), AccessRule(frozenset(), "/sms/*"))
    store = make_store(
        make_profile("one", access_rules=rules),
        make_profile("two", credential=keyless),
        make_profile("three", credential=account),
        make_profile("four", credential=AccessToken(Secret("SecretToken"))),
        default="one",
    )
    proxy_server = await start(store=store)
    await proxy_server.ask(b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n")

    answer = await proxy_server.ask(own("profiles"))

    shown = {profile["name"]: profile for profile in answer.json["profiles"]}
    assert list(shown) == ["one", "two", "three", "four"]
    assert [profile["default"] for profile in shown.values()] == [True, False, False, False]
    assert shown["one"]["access_rules"] == ["GET /me", "* /sms/*"]
    assert shown["two"]["access_rules"] is None
    assert abs(shown["one"]["clock_delta_seconds"]) < 2
    assert [profile["credential"]["kind"] for profile in shown.values()] == [
        "application keys",
        "application keys",
        "service account",
        "access token",
    ]
    assert shown["two"]["credential"]["state"] == "no consumer key"
    assert b"Secret" not in answer.body
    assert b"MadeUp" not in answer.body


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("token", "route", "status"),
    [
        ("pinned", "healthz", 200),
        ("pinned", "version", 200),
        ("pinned", "metrics", 403),
        ("pinned", "", 403),
        ("free", "metrics", 200),
        ("free", "", 200),
        ("nobody", "healthz", 401),
    ],
)
async def test_routes_about_all_profiles_reject_clients_that_are_limited_to_some(
    start, client_named, token, route, status
):
    proxy_server = await start(clients=(client_named("pinned", "personal"), client_named("free")))

    answer = await proxy_server.ask(own(route, "GET", f"Authorization: Bearer {token}"))

    assert answer.status == status


@pytest.mark.asyncio
async def test_a_client_sees_only_its_own_profiles(start, client_named, make_profile, make_store):
    store = make_store(make_profile("one"), make_profile("two"))
    proxy_server = await start(
        store=store, clients=(client_named("ci", "two"), client_named("all"))
    )

    mine = await proxy_server.ask(own("profiles", "GET", "Authorization: Bearer ci"))
    theirs = await proxy_server.ask(own("profiles", "GET", "Authorization: Bearer all"))

    assert [profile["name"] for profile in mine.json["profiles"]] == ["two"]
    assert [profile["name"] for profile in theirs.json["profiles"]] == ["one", "two"]


@pytest.mark.asyncio
async def test_a_listener_with_profiles_shows_only_these(
    start, unix_listener, make_profile, make_store
):
    store = make_store(make_profile("one"), make_profile("two"))
    pinned = replace(unix_listener, profiles=("two",))
    proxy_server = await start(store=store, listen=(Listener(ADMIN), pinned))

    profiles = await proxy_server.ask(own("profiles"), 1)
    metrics, index = [await proxy_server.ask(own(route), 1) for route in ("metrics", "")]

    assert [profile["name"] for profile in profiles.json["profiles"]] == ["two"]
    assert (metrics.code, index.code) == ("PROFILE_REFUSED", "PROFILE_REFUSED")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("pins", "expected"),
    [((), True), (((), ()), True), ((("two",), ()), False), (((), ("two",)), False)],
)
async def test_pins_hide_the_problems_of_the_settings(make_profile, make_store, pins, expected):
    state = ServerState(problems=("store.yaml:3: profiles.one: unknown key 'x'",))
    routes = AdminRoutes(Metrics(dict), Clocks(cast("Pool", None)), state)
    settings = Settings(store=make_store(make_profile("one"), make_profile("two")))

    response = await routes.respond("GET", "/-/readyz", settings, pins)

    assert b'"reload":"failed"' in response.body
    assert (b"profiles.one" in response.body) == expected


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "line",
    ["Origin: http://localhost", "Origin: null", "Sec-Fetch-Site: cross-site"],
)
async def test_the_admin_listener_does_not_serve_web_pages(start, line):
    proxy_server = await start(admin_listen=ADMIN)

    answer = await proxy_server.ask(own("metrics", "GET", line), 1)

    assert (answer.status, answer.code) == (403, "ORIGIN_REFUSED")


@pytest.mark.asyncio
async def test_the_admin_listener_compares_paths_as_written(start):
    proxy_server = await start(admin_listen=ADMIN)

    answers = [
        await proxy_server.ask(own("").replace(b"/-/", path), 1)
        for path in (b"/-/healthz?x", b"/-/%68ealthz", b"/-/../-/healthz", b"/" + b"%" * 8000)
    ]

    assert [answer.status for answer in answers] == [200, 404, 404, 404]


@pytest.mark.asyncio
async def test_browsers_must_not_guess_the_type_of_own_responses(start):
    proxy_server = await start(admin_listen=ADMIN)

    answers = [
        await proxy_server.ask(own("healthz")),
        await proxy_server.ask(own("nothing")),
        await proxy_server.ask(b"garbage\r\n\r\n"),
        await proxy_server.ask(own("metrics"), 1),
    ]

    assert [answer.value("X-Content-Type-Options") for answer in answers] == ["nosniff"] * 4


@pytest.mark.asyncio
@pytest.mark.parametrize("name", METRICS)
async def test_each_metric_exists_from_the_start(start, name):
    proxy_server = await start(admin_listen=ADMIN)

    answer = await proxy_server.ask(own("metrics"), 1)

    assert answer.value("Content-Type").startswith("text/plain; version=0.0.4")
    assert f"# TYPE {name} ".encode() in answer.body


@pytest.mark.asyncio
async def test_requests_and_errors_are_counted(start, make_profile, make_store):
    keyless = ApplicationCredential(Secret("k"), Secret("s"), None)
    store = make_store(make_profile(), make_profile("new", credential=keyless), default="personal")
    proxy_server = await start(admin_listen=ADMIN, store=store)
    for text in (
        b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /me HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /@new/me HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"garbage\r\n\r\n",
    ):
        await proxy_server.ask(text)

    page = (await proxy_server.ask(own("metrics"), 1)).body.decode()

    counted = (
        'ovh_proxy_requests_total{client="-",code="%s",method="%s",outcome="%s",profile="%s",'
        'status="%s"} 1.0'
    )
    assert counted % ("", "GET", "relayed", "personal", "2xx") in page
    assert counted % ("HOST_REFUSED", "GET", "refused", "-", "4xx") in page
    assert counted % ("NO_CREDENTIAL", "GET", "failed", "new", "5xx") in page
    assert counted % ("BAD_REQUEST", "-", "refused", "-", "4xx") in page
    assert 'ovh_proxy_refusals_total{code="HOST_REFUSED"} 1.0' in page
    assert 'ovh_proxy_request_duration_seconds_count{profile="personal"} 1.0' in page
    assert 'ovh_proxy_upstream_duration_seconds_count{profile="personal"} 1.0' in page
    assert "ovh_proxy_requests_in_flight 1.0" in page
    assert "ovh_proxy_config_last_reload_successful 1.0" in page
    assert f'ovh_proxy_build_info{{version="{__version__}"}} 1.0' in page
    state = 'ovh_proxy_credential_state{kind="application keys",profile="new",state=%s} %s'
    assert state % ('"no consumer key"', "1.0") in page
    assert state % ('"valid"', "0.0") in page
    assert "ovh_proxy_clock_delta_seconds{endpoint=" in page


@pytest.mark.asyncio
async def test_bytes_connections_and_the_proxys_own_time_are_counted(start):
    proxy_server = await start(admin_listen=ADMIN)
    before = await _values(proxy_server)

    for _ in range(2):
        await proxy_server.ask(
            b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
        )

    after = await _values(proxy_server)
    added = after - before
    profile = '{profile="personal"}'
    assert added[f"ovh_proxy_request_body_bytes_total{profile}"] == 2 * len("abc")
    assert added[f"ovh_proxy_response_body_bytes_total{profile}"] == 2 * len("POST /1.0/me")
    assert added[f"ovh_proxy_own_duration_seconds_count{profile}"] == 2
    assert 0 < after[f"ovh_proxy_own_duration_seconds_sum{profile}"] < 2 * BOUND_S
    # The connection that was opened for the clock serves both.
    assert before["ovh_proxy_upstream_connections_made_total"] == 1
    assert added["ovh_proxy_upstream_connections_made_total"] == 0
    assert added["ovh_proxy_upstream_connections_reused_total"] == 2
    assert after["ovh_proxy_config_last_reload_success_timestamp_seconds"] <= time.time()


async def _values(proxy_server: ProxyServer) -> Counter[str]:
    page = (await proxy_server.ask(own("metrics"), 1)).body.decode()
    lines = [line.rpartition(" ") for line in page.splitlines() if line.startswith("ovh_proxy")]
    return Counter({name: float(value) for name, _, value in lines})


@pytest.mark.asyncio
async def test_a_listener_with_one_profile_serves_no_other(
    start, upstream, make_profile, make_store
):
    proxy_server = await start(
        store=make_store(make_profile("one"), make_profile("two"), default="one"),
        listen=(
            Listener(ADMIN, profiles=("two",)),
            Listener(ADMIN, profiles=("one",)),
        ),
    )

    answers = [
        await proxy_server.ask(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), listener
        )
        for target, listener in (("/me", 0), ("/@one/me", 0), ("/@one/me", 1), ("/me", 1))
    ]

    assert [answer.code for answer in answers] == [None, "PROFILE_REFUSED", None, None]
    assert [record["profile"] for record in proxy_server.requests] == ["two", "-", "one", "one"]
    assert len(upstream.requests) == 3
