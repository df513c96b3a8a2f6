"""Client checks for requests to an endpoint: inside CONNECT, with absolute target, by name."""

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
CONNECT = EntryPoint(LISTENER, "https", "", 443, EU)
CONNECT_UNIX = EntryPoint(Listener(UnixAddress("/s")), "https", "", 443, EU)
ABSOLUTE = EntryPoint(LISTENER, "http", "", 80, EU)
OTHER_PORT = EntryPoint(LISTENER, "https", "", 8443, HostPort("gw.example", 8443))
TLS = EntryPoint(Listener(TcpAddress("127.0.0.1", 8443)), "https", "127.0.0.1", 8443)
PLAIN = EntryPoint(LISTENER, "http", "127.0.0.1", 8080)
CI = Client("ci", sha256(b"t0ken").digest())
LAPTOP = Client("laptop", sha256(b"0ther").digest())
WITH_CLIENTS = Settings(clients=(CI, LAPTOP))


def headers(host, *more):
    return RequestHeaders(((b"Host", host), *more))


@pytest.mark.parametrize(
    ("entry_point", "host"),
    [
        (CONNECT, b"eu.api.ovh.com"),
        (CONNECT, b"eu.api.ovh.com:443"),
        (CONNECT, b"EU.Api.ovh.com."),
        (CONNECT_UNIX, b"eu.api.ovh.com"),
        (ABSOLUTE, b"eu.api.ovh.com"),
        (ABSOLUTE, b"eu.api.ovh.com:80"),
        (OTHER_PORT, b"gw.example:8443"),
    ],
)
def test_the_requested_host_is_served(entry_point, host):
    raw = headers(host)

    assert admit(raw, entry_point, Settings()) is None
    assert asked_endpoint_host(raw, entry_point, Settings()) == entry_point.host_port


@pytest.mark.parametrize(
    ("entry_point", "host"),
    [
        (CONNECT, b"ca.api.ovh.com"),
        (CONNECT, b"localhost"),
        (CONNECT, b"app.localhost"),
        (CONNECT, b"127.0.0.1:8080"),
        (CONNECT, b"proxy.internal"),
        (CONNECT, b"eu.api.ovh.com:80"),
        (CONNECT, b"eu.api.ovh.com:8080"),
        (CONNECT_UNIX, b"anything"),
        (ABSOLUTE, b"eu.api.ovh.com:443"),
        (ABSOLUTE, b"localhost:8080"),
        (OTHER_PORT, b"gw.example"),
    ],
)
def test_any_other_host_is_rejected(entry_point, host):
    with pytest.raises(HostRefused, match="differs from"):
        admit(headers(host), entry_point, Settings(hosts=frozenset({"proxy.internal"})))


@pytest.mark.parametrize(
    ("entry_point", "host", "both"),
    [
        (CONNECT, b"EU.api.ovh.com:80", "'eu.api.ovh.com:80' differs from eu.api.ovh.com:443"),
        (ABSOLUTE, b"eu.api.ovh.com:443", "'eu.api.ovh.com:443' differs from eu.api.ovh.com:80"),
        (OTHER_PORT, b"gw.example", "'gw.example' differs from gw.example:8443"),
    ],
    ids=["CONNECT", "absolute target", "without a port"],
)
def test_the_message_names_both_hosts(entry_point, host, both):
    with pytest.raises(HostRefused) as rejected:
        admit(headers(host), entry_point, Settings())

    assert str(rejected.value) == f"Host {both}, which the client asked this proxy for"


@pytest.mark.parametrize(
    "more",
    [
        ((b"Origin", b"https://evil.example"),),
        ((b"Origin", b"null"),),
        ((b"Origin", b"http://eu.api.ovh.com"),),
        ((b"Origin", b"http://127.0.0.1:8080"),),
        ((b"Sec-Fetch-Site", b"cross-site"),),
        ((b"Sec-Fetch-Site", b"same-site"),),
    ],
)
def test_web_pages_are_rejected_inside_connect_too(more):
    with pytest.raises(OriginRefused):
        admit(headers(b"eu.api.ovh.com", *more), CONNECT, Settings())


def test_the_endpoints_own_origin_is_the_same_origin():
    raw = headers(b"eu.api.ovh.com", (b"Origin", b"https://eu.api.ovh.com"))

    assert admit(raw, CONNECT, Settings()) is None


def with_tokens(*tokens):
    return EntryPoint(LISTENER, "https", "", 443, EU, tokens)


@pytest.mark.parametrize(
    ("entry_point", "more", "client"),
    [
        pytest.param(with_tokens(b"t0ken"), (), CI, id="from CONNECT"),
        pytest.param(
            with_tokens(), ((b"Authorization", b"Bearer t0ken"),), CI, id="from the request"
        ),
        pytest.param(
            with_tokens(b"t0ken"),
            ((b"X-Ovh-Application", b"unknown"),),
            CI,
            id="with a key",
        ),
        pytest.param(
            with_tokens(b"t0ken"),
            ((b"X-Ovh-Application", b"0ther"),),
            LAPTOP,
            id="the request's counts",
        ),
    ],
)
def test_tokens_of_the_connection_and_of_the_request_count(entry_point, more, client):
    assert admit(headers(b"eu.api.ovh.com", *more), entry_point, WITH_CLIENTS) is client


def test_a_request_without_any_token_is_rejected():
    with pytest.raises(ClientTokenRequired):
        admit(headers(b"eu.api.ovh.com"), with_tokens(), WITH_CLIENTS)


def test_proxy_authorization_of_a_request_is_ignored():
    proxy_token = (b"Proxy-Authorization", b"Bearer t0ken")

    with pytest.raises(ClientTokenRequired):
        admit(headers(b"eu.api.ovh.com", proxy_token), with_tokens(), WITH_CLIENTS)


def test_an_outdated_token_of_the_connection_is_rejected():
    with pytest.raises(ClientTokenRefused):
        admit(headers(b"eu.api.ovh.com"), with_tokens(b"former"), WITH_CLIENTS)


@pytest.mark.parametrize(
    "host", [b"eu.api.ovh.com", b"eu.api.ovh.com:443", b"eu.api.ovh.com:8443", b"EU.API.ovh.com."]
)
def test_over_tls_an_endpoint_name_is_served_on_any_port(host):
    raw = headers(host)

    assert admit(raw, TLS, Settings()) is None
    assert asked_endpoint_host(raw, TLS, Settings()) == HostPort("eu.api.ovh.com", None)


@pytest.mark.parametrize("host", [b"eu.api.ovh.com", b"ca.api.ovh.com:8080"])
def test_without_tls_an_endpoint_name_is_rejected(host):
    with pytest.raises(HostRefused):
        admit(headers(host), PLAIN, Settings())


@pytest.mark.parametrize("host", [b"www.ovh.com", b"evil.example", b"eu.api.ovh.com.evil.example"])
def test_over_tls_other_names_are_still_rejected(host):
    with pytest.raises(HostRefused):
        admit(headers(host), TLS, Settings())


@pytest.mark.parametrize("host", [b"localhost", b"app.localhost:8443", b"127.0.0.1", b"box.lan"])
@pytest.mark.parametrize("entry_point", [TLS, PLAIN], ids=["tls", "plain"])
def test_a_request_to_the_proxys_own_names_has_no_endpoint_host(entry_point, host):
    settings = Settings(hosts=frozenset({"box.lan"}))
    raw = headers(host)

    admit(raw, entry_point, settings)

    assert asked_endpoint_host(raw, entry_point, settings) is None
