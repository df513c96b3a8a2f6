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

DOOR = EntryPoint(Listener(TcpAddress("127.0.0.1", 8080)), "http", "127.0.0.1", 8080)
EU = HostPort("eu.api.ovh.com", 443)
CI = Client("ci", sha256(b"t0ken").digest())
WIDE = NameConstraints((*DEFAULT_CONSTRAINTS.names, "www.ovh.com"), DEFAULT_CONSTRAINTS.networks)
OWN = Profile("own", parse_endpoint("https://gw.example:8443/1.0"), AccessToken(Secret("t0ken")))
STORE = Store(MappingProxyType({"own": OWN}), "own", "tests")


def said(value):
    return RequestHeaders(((b"Proxy-Authorization", value),))


@pytest.mark.parametrize(
    "fields",
    [
        ((b"Host", b"eu.api.ovh.com:443"),),
        ((b"Host", b"EU.api.ovh.com"),),
        ((b"Host", b"eu.api.ovh.com:443"), (b"Content-Length", b"0")),
    ],
)
def test_connect_that_says_one_thing_passes(fields):
    check_connect(RequestHeaders(fields), EU, is_http_1_0=False)


def test_connect_of_http_1_0_needs_no_host():
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
def test_connect_that_says_more_is_bad(fields):
    with pytest.raises(BadRequest):
        check_connect(RequestHeaders(fields), EU, is_http_1_0=False)


TUNNELS = Settings(store=STORE, clients=(CI,), intercept_others="tunnel")


@pytest.mark.parametrize(
    ("host_port", "settings", "constraints", "destination"),
    [
        pytest.param(EU, Settings(), DEFAULT_CONSTRAINTS, ConnectDestination.API, id="an endpoint"),
        pytest.param(
            EU, TUNNELS, DEFAULT_CONSTRAINTS, ConnectDestination.API, id="an endpoint, with tunnels"
        ),
        pytest.param(
            HostPort("gw.example", 8443),
            TUNNELS,
            NameConstraints(("gw.example",), ()),
            ConnectDestination.API,
            id="a profile's endpoint",
        ),
        pytest.param(
            HostPort("www.ovh.com", 443),
            TUNNELS,
            WIDE,
            ConnectDestination.TOKENS,
            id="a token host",
        ),
        pytest.param(
            HostPort("www.ovh.com", 443),
            TUNNELS,
            DEFAULT_CONSTRAINTS,
            ConnectDestination.EXTERNAL,
            id="not for this authority",
        ),
        pytest.param(
            HostPort("pypi.org", 443), TUNNELS, WIDE, ConnectDestination.EXTERNAL, id="another host"
        ),
        pytest.param(
            HostPort("www.ovh.com", 22),
            TUNNELS,
            WIDE,
            ConnectDestination.EXTERNAL,
            id="another port",
        ),
    ],
)
def test_where_connect_leads(host_port, settings, constraints, destination):
    assert connect_destination(host_port, settings, constraints) is destination


@pytest.mark.parametrize(
    ("host_port", "settings", "told"),
    [
        pytest.param(HostPort("pypi.org", 443), Settings(), "intercept_others", id="another host"),
        pytest.param(
            HostPort("www.ovh.com", 443), Settings(), "intercept_others", id="a host of people"
        ),
        pytest.param(
            HostPort("pypi.org", 443),
            Settings(intercept_others="tunnel"),
            "intercept_others",
            id="a tunnel for anybody",
        ),
        pytest.param(
            HostPort("eu.api.ovh.com", 80), TUNNELS, "own port", id="an endpoint's port 80"
        ),
        pytest.param(HostPort("gw.example", 443), TUNNELS, "own port", id="a profile's, elsewhere"),
        pytest.param(HostPort("gw.example", 8443), TUNNELS, "authority", id="out of bounds"),
    ],
)
def test_connect_leads_nowhere_else(host_port, settings, told):
    with pytest.raises(HostRefused, match=told):
        connect_destination(host_port, settings, DEFAULT_CONSTRAINTS)


@pytest.mark.parametrize("destination", ConnectDestination)
@pytest.mark.parametrize(
    "value", [b"Bearer t0ken", b"Basic " + b64encode(b"any:t0ken")], ids=["Bearer", "Basic"]
)
def test_a_token_of_the_proxy_tells_the_client(destination, value):
    assert admit_connect(said(value), destination, DOOR, TUNNELS) is CI


@pytest.mark.parametrize("destination", [ConnectDestination.API, ConnectDestination.TOKENS])
def test_a_token_may_come_later_where_the_connection_ends_here(destination):
    assert admit_connect(RequestHeaders(()), destination, DOOR, TUNNELS) is None


def test_nobody_is_led_away_without_a_token():
    with pytest.raises(ProxyTokenRequired):
        admit_connect(RequestHeaders(()), ConnectDestination.EXTERNAL, DOOR, TUNNELS)


@pytest.mark.parametrize("destination", ConnectDestination)
def test_a_wrong_token_is_refused_wherever_it_leads(destination):
    with pytest.raises(ProxyTokenRefused):
        admit_connect(said(b"Bearer wrong"), destination, DOOR, TUNNELS)


def test_a_token_that_is_not_for_this_listener_is_refused():
    entry_point = EntryPoint(
        Listener(DOOR.listener.address, clients=frozenset({"desk"})), "http", "", 0
    )

    with pytest.raises(ProxyTokenRefused):
        admit_connect(said(b"Bearer t0ken"), ConnectDestination.API, entry_point, TUNNELS)


def test_without_clients_nobody_is_asked():
    assert admit_connect(said(b"Bearer wrong"), ConnectDestination.API, DOOR, Settings()) is None


def test_the_door_within_knows_the_site_and_the_tokens():
    entry_point = entry_point_inside(DOOR, EU, said(b"Bearer t0ken"))

    assert entry_point == EntryPoint(DOOR.listener, "https", "", 443, EU, (b"t0ken",))
    assert "t0ken" not in repr(entry_point)


def test_the_door_of_an_absolute_form_is_named_by_it():
    asked = parse_absolute(b"http://eu.api.ovh.com/1.0/me")

    entry_point = entry_point_of(asked, said(b"Bearer t0ken"), DOOR, Settings())

    assert entry_point == EntryPoint(DOOR.listener, "http", "", 80, EU, (b"t0ken",))


@pytest.mark.parametrize("target", [b"http://pypi.org/", b"http://eu.api.ovh.com:8080/"])
def test_an_absolute_form_leads_to_endpoints_alone(target):
    with pytest.raises(HostRefused, match="https://"):
        entry_point_of(parse_absolute(target), RequestHeaders(()), DOOR, TUNNELS)
