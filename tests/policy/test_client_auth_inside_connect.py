"""The guard where a client asked for an endpoint: within CONNECT, in absolute form, by name."""

from hashlib import sha256

import pytest

from ovh_proxy.core.errors import (
    ClientTokenRefused,
    ClientTokenRequired,
    HostRefused,
    OriginRefused,
)
from ovh_proxy.core.settings import Client, Listener, Settings, TcpAddress, UnixAddress
from ovh_proxy.policy.client_auth import EntryPoint, admit, asked_endpoint_host
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.hosts import HostPort

EU = HostPort("eu.api.ovh.com", 443)
LISTENER = Listener(TcpAddress("127.0.0.1", 8080))
INSIDE = EntryPoint(LISTENER, "https", "", 443, EU)
INSIDE_UNIX = EntryPoint(Listener(UnixAddress("/s")), "https", "", 443, EU)
ABSOLUTE = EntryPoint(LISTENER, "http", "", 80, EU)
ODD = EntryPoint(LISTENER, "https", "", 8443, HostPort("gw.example", 8443))
TLS = EntryPoint(Listener(TcpAddress("127.0.0.1", 8443)), "https", "127.0.0.1", 8443)
PLAIN = EntryPoint(LISTENER, "http", "127.0.0.1", 8080)
CI = Client("ci", sha256(b"t0ken").digest())
DESK = Client("desk", sha256(b"0ther").digest())
GUARDED = Settings(clients=(CI, DESK))


def headers(host, *more):
    return RequestHeaders(((b"Host", host), *more))


@pytest.mark.parametrize(
    ("entry_point", "host"),
    [
        (INSIDE, b"eu.api.ovh.com"),
        (INSIDE, b"eu.api.ovh.com:443"),
        (INSIDE, b"EU.Api.ovh.com."),
        (INSIDE_UNIX, b"eu.api.ovh.com"),
        (ABSOLUTE, b"eu.api.ovh.com"),
        (ABSOLUTE, b"eu.api.ovh.com:80"),
        (ODD, b"gw.example:8443"),
    ],
)
def test_the_host_that_was_asked_for_is_served(entry_point, host):
    raw = headers(host)

    assert admit(raw, entry_point, Settings()) is None
    assert asked_endpoint_host(raw, entry_point, Settings()) == entry_point.host_port


@pytest.mark.parametrize(
    ("entry_point", "host"),
    [
        (INSIDE, b"ca.api.ovh.com"),
        (INSIDE, b"localhost"),
        (INSIDE, b"app.localhost"),
        (INSIDE, b"127.0.0.1:8080"),
        (INSIDE, b"proxy.internal"),
        (INSIDE, b"eu.api.ovh.com:80"),
        (INSIDE, b"eu.api.ovh.com:8080"),
        (INSIDE_UNIX, b"anything"),
        (ABSOLUTE, b"eu.api.ovh.com:443"),
        (ABSOLUTE, b"localhost:8080"),
        (ODD, b"gw.example"),
    ],
)
def test_no_other_host_is_served_there(entry_point, host):
    with pytest.raises(HostRefused, match="asked of the proxy"):
        admit(headers(host), entry_point, Settings(hosts=frozenset({"proxy.internal"})))


@pytest.mark.parametrize(
    "shown",
    [
        ((b"Origin", b"https://evil.example"),),
        ((b"Origin", b"null"),),
        ((b"Origin", b"http://eu.api.ovh.com"),),
        ((b"Origin", b"http://127.0.0.1:8080"),),
        ((b"Sec-Fetch-Site", b"cross-site"),),
        ((b"Sec-Fetch-Site", b"same-site"),),
    ],
)
def test_web_pages_are_refused_inside_as_outside(shown):
    with pytest.raises(OriginRefused):
        admit(headers(b"eu.api.ovh.com", *shown), INSIDE, Settings())


def test_the_endpoints_own_origin_is_the_same_origin():
    raw = headers(b"eu.api.ovh.com", (b"Origin", b"https://eu.api.ovh.com"))

    assert admit(raw, INSIDE, Settings()) is None


def with_tokens(*tokens):
    return EntryPoint(LISTENER, "https", "", 443, EU, tokens)


@pytest.mark.parametrize(
    ("entry_point", "more", "client"),
    [
        pytest.param(with_tokens(b"t0ken"), (), CI, id="of the CONNECT"),
        pytest.param(with_tokens(), ((b"Authorization", b"Bearer t0ken"),), CI, id="its own"),
        pytest.param(
            with_tokens(b"t0ken"), ((b"X-Ovh-Application", b"made-up"),), CI, id="beside a key"
        ),
        pytest.param(
            with_tokens(b"t0ken"), ((b"X-Ovh-Application", b"0ther"),), DESK, id="its own counts"
        ),
    ],
)
def test_a_token_of_the_connection_counts_beside_that_of_a_request(entry_point, more, client):
    assert admit(headers(b"eu.api.ovh.com", *more), entry_point, GUARDED) is client


def test_without_any_token_nobody_is_let_in():
    with pytest.raises(ClientTokenRequired):
        admit(headers(b"eu.api.ovh.com"), with_tokens(), GUARDED)


def test_what_is_said_to_a_proxy_is_no_token_of_a_request():
    said = (b"Proxy-Authorization", b"Bearer t0ken")

    with pytest.raises(ClientTokenRequired):
        admit(headers(b"eu.api.ovh.com", said), with_tokens(), GUARDED)


def test_a_token_that_is_none_any_more_is_refused():
    with pytest.raises(ClientTokenRefused):
        admit(headers(b"eu.api.ovh.com"), with_tokens(b"former"), GUARDED)


@pytest.mark.parametrize(
    "host", [b"eu.api.ovh.com", b"eu.api.ovh.com:443", b"eu.api.ovh.com:8443", b"EU.API.ovh.com."]
)
def test_over_tls_an_endpoints_name_is_served_whatever_the_port(host):
    raw = headers(host)

    assert admit(raw, TLS, Settings()) is None
    assert asked_endpoint_host(raw, TLS, Settings()) == HostPort("eu.api.ovh.com", None)


@pytest.mark.parametrize("host", [b"eu.api.ovh.com", b"ca.api.ovh.com:8080"])
def test_in_clear_an_endpoints_name_may_be_a_web_pages(host):
    with pytest.raises(HostRefused):
        admit(headers(host), PLAIN, Settings())


@pytest.mark.parametrize("host", [b"www.ovh.com", b"evil.example", b"eu.api.ovh.com.evil.example"])
def test_over_tls_other_names_are_refused_as_ever(host):
    with pytest.raises(HostRefused):
        admit(headers(host), TLS, Settings())


@pytest.mark.parametrize("host", [b"localhost", b"app.localhost:8443", b"127.0.0.1", b"box.lan"])
@pytest.mark.parametrize("entry_point", [TLS, PLAIN], ids=["tls", "plain"])
def test_a_request_to_the_proxys_own_names_is_for_no_endpoint(entry_point, host):
    settings = Settings(hosts=frozenset({"box.lan"}))
    raw = headers(host)

    admit(raw, entry_point, settings)

    assert asked_endpoint_host(raw, entry_point, settings) is None
