from base64 import b64encode
from hashlib import sha256
from types import MappingProxyType

import pytest

from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.errors import (
    BadRequest,
    HostRefused,
    ProxyTokenRefused,
    ProxyTokenRequired,
)
from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS, NameConstraints
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Client, Listener, Profile, Settings, Store, TcpAddress
from ovh_proxy.policy.client_auth import EntryPoint
from ovh_proxy.policy.forward_proxy import (
    ConnectDestination,
    admit_connect,
    check_connect,
    connect_destination,
    entry_point_inside,
    entry_point_of,
    parse_absolute,
)
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.hosts import HostPort

ENTRY_POINT = EntryPoint(Listener(TcpAddress("127.0.0.1", 8080)), "http", "127.0.0.1", 8080)
EU = HostPort("eu.api.ovh.com", 443)
CI = Client("ci", sha256(b"t0ken").digest())
WIDE = NameConstraints((*DEFAULT_CONSTRAINTS.names, "www.ovh.com"), DEFAULT_CONSTRAINTS.networks)
OWN = Profile("own", parse_endpoint("https://gw.example:8443/1.0"), AccessToken(Secret("t0ken")))
STORE = Store(MappingProxyType({"own": OWN}), "own", "tests")


def with_proxy_token(value):
    return RequestHeaders(((b"Proxy-Authorization", value),))


@pytest.mark.parametrize(
    "fields",
    [
        ((b"Host", b"eu.api.ovh.com:443"),),
        ((b"Host", b"EU.api.ovh.com"),),
        ((b"Host", b"eu.api.ovh.com:443"), (b"Content-Length", b"0")),
    ],
)
def test_an_unambiguous_connect_passes(fields):
    check_connect(RequestHeaders(fields), EU, is_http_1_0=False)


def test_connect_with_http_1_0_needs_no_host():
    check_connect(RequestHeaders(()), EU, is_http_1_0=True)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ((b"Host", b""),),
        ((b"Host", b"ca.api.ovh.com:443"),),
        ((b"Host", b"eu.api.ovh.com"), (b"Content-Length", b"1")),
        ((b"Host", b"eu.api.ovh.com"), (b"Transfer-Encoding", b"chunked")),
    ],
    ids=["no Host", "an empty Host", "another Host", "a length", "a coding"],
)
def test_an_ambiguous_connect_is_a_bad_request(fields):
    with pytest.raises(BadRequest):
        check_connect(RequestHeaders(fields), EU, is_http_1_0=False)


WITH_TUNNELS = Settings(store=STORE, clients=(CI,), intercept_others="tunnel")


@pytest.mark.parametrize(
    ("host_port", "settings", "constraints", "destination"),
    [
        pytest.param(EU, Settings(), DEFAULT_CONSTRAINTS, ConnectDestination.API, id="an endpoint"),
        pytest.param(
            EU,
            WITH_TUNNELS,
            DEFAULT_CONSTRAINTS,
            ConnectDestination.API,
            id="an endpoint, with tunnels",
        ),
        pytest.param(
            HostPort("gw.example", 8443),
            WITH_TUNNELS,
            NameConstraints(("gw.example",), ()),
            ConnectDestination.API,
            id="a profile's endpoint",
        ),
        pytest.param(
            HostPort("www.ovh.com", 443),
            WITH_TUNNELS,
            WIDE,
            ConnectDestination.TOKENS,
            id="a token host",
        ),
        pytest.param(
            HostPort("www.ovh.com", 443),
            WITH_TUNNELS,
            DEFAULT_CONSTRAINTS,
            ConnectDestination.EXTERNAL,
            id="a token host outside the constraints",
        ),
        pytest.param(
            HostPort("pypi.org", 443),
            WITH_TUNNELS,
            WIDE,
            ConnectDestination.EXTERNAL,
            id="another host",
        ),
        pytest.param(
            HostPort("www.ovh.com", 22),
            WITH_TUNNELS,
            WIDE,
            ConnectDestination.EXTERNAL,
            id="another port",
        ),
    ],
)
def test_the_destination_of_connect(host_port, settings, constraints, destination):
    assert connect_destination(host_port, settings, constraints) is destination


@pytest.mark.parametrize(
    ("host_port", "settings", "text"),
    [
        pytest.param(HostPort("pypi.org", 443), Settings(), "intercept_others", id="another host"),
        pytest.param(
            HostPort("www.ovh.com", 443),
            Settings(),
            "intercept_others",
            id="a token host outside the constraints",
        ),
        pytest.param(
            HostPort("pypi.org", 443),
            Settings(intercept_others="tunnel"),
            "intercept_others",
            id="a tunnel without clients",
        ),
        pytest.param(
            HostPort("eu.api.ovh.com", 80), WITH_TUNNELS, "own port", id="an endpoint's port 80"
        ),
        pytest.param(
            HostPort("gw.example", 443),
            WITH_TUNNELS,
            "own port",
            id="another port of a profile's endpoint",
        ),
        pytest.param(
            HostPort("gw.example", 8443), WITH_TUNNELS, "authority", id="outside the constraints"
        ),
    ],
)
def test_connect_to_another_host_or_port_is_rejected(host_port, settings, text):
    with pytest.raises(HostRefused, match=text):
        connect_destination(host_port, settings, DEFAULT_CONSTRAINTS)


@pytest.mark.parametrize("destination", ConnectDestination)
@pytest.mark.parametrize(
    "value", [b"Bearer t0ken", b"Basic " + b64encode(b"any:t0ken")], ids=["Bearer", "Basic"]
)
def test_a_proxy_token_identifies_the_client(destination, value):
    assert admit_connect(with_proxy_token(value), destination, ENTRY_POINT, WITH_TUNNELS) is CI


@pytest.mark.parametrize("destination", [ConnectDestination.API, ConnectDestination.TOKENS])
def test_the_token_may_follow_later_if_the_connection_is_served_here(destination):
    assert admit_connect(RequestHeaders(()), destination, ENTRY_POINT, WITH_TUNNELS) is None


def test_a_tunnel_requires_a_token():
    with pytest.raises(ProxyTokenRequired):
        admit_connect(RequestHeaders(()), ConnectDestination.EXTERNAL, ENTRY_POINT, WITH_TUNNELS)


@pytest.mark.parametrize("destination", ConnectDestination)
def test_a_wrong_token_is_rejected_for_every_destination(destination):
    with pytest.raises(ProxyTokenRefused):
        admit_connect(with_proxy_token(b"Bearer wrong"), destination, ENTRY_POINT, WITH_TUNNELS)


def test_a_token_of_another_listeners_client_is_rejected():
    entry_point = EntryPoint(
        Listener(ENTRY_POINT.listener.address, clients=frozenset({"laptop"})), "http", "", 0
    )

    with pytest.raises(ProxyTokenRefused):
        admit_connect(
            with_proxy_token(b"Bearer t0ken"), ConnectDestination.API, entry_point, WITH_TUNNELS
        )


def test_without_clients_no_token_is_required():
    assert (
        admit_connect(
            with_proxy_token(b"Bearer wrong"), ConnectDestination.API, ENTRY_POINT, Settings()
        )
        is None
    )


def test_the_entry_point_inside_connect_has_its_host_and_tokens():
    entry_point = entry_point_inside(ENTRY_POINT, EU, with_proxy_token(b"Bearer t0ken"))

    assert entry_point == EntryPoint(ENTRY_POINT.listener, "https", "", 443, EU, (b"t0ken",))
    assert "t0ken" not in repr(entry_point)


def test_the_entry_point_of_an_absolute_target_has_its_host_and_tokens():
    target = parse_absolute(b"http://eu.api.ovh.com/1.0/me")

    entry_point = entry_point_of(target, with_proxy_token(b"Bearer t0ken"), ENTRY_POINT, Settings())

    assert entry_point == EntryPoint(ENTRY_POINT.listener, "http", "", 80, EU, (b"t0ken",))


@pytest.mark.parametrize("target", [b"http://pypi.org/", b"http://eu.api.ovh.com:8080/"])
def test_absolute_targets_reach_endpoints_only(target):
    with pytest.raises(HostRefused, match=r"'(pypi\.org|eu\.api\.ovh\.com)' is not .* https://"):
        entry_point_of(parse_absolute(target), RequestHeaders(()), ENTRY_POINT, WITH_TUNNELS)
