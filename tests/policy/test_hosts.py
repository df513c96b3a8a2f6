from types import MappingProxyType

import pytest

from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.policy.hosts import (
    TOKEN_HOSTS,
    HostPort,
    host_port_of,
    is_at,
    is_endpoint,
    is_endpoint_name,
)

OWN = parse_endpoint("https://[2001:db8::1]:8443/1.0")
STORE = Store(
    MappingProxyType({"own": Profile("own", OWN, AccessToken(Secret("t0ken")))}), None, "tests"
)


@pytest.mark.parametrize(
    ("url", "host_port", "text"),
    [
        ("https://eu.api.ovh.com/1.0", HostPort("eu.api.ovh.com", 443), "eu.api.ovh.com:443"),
        ("http://127.0.0.1/1.0", HostPort("127.0.0.1", 80), "127.0.0.1:80"),
        ("http://localhost:8080", HostPort("localhost", 8080), "localhost:8080"),
        ("https://[2001:db8::1]:8443/1.0", HostPort("2001:db8::1", 8443), "[2001:db8::1]:8443"),
    ],
)
def test_a_url_has_a_host_and_a_port(url, host_port, text):
    assert (host_port_of(url), str(host_port)) == (host_port, text)


def test_a_host_without_a_port_is_shown_by_its_name():
    assert str(HostPort("eu.api.ovh.com", None)) == "eu.api.ovh.com"


@pytest.mark.parametrize("name", ENDPOINTS)
def test_every_ovhcloud_endpoint_is_known_at_its_own_port_only(name):
    host_port = host_port_of(ENDPOINTS[name].base_url)

    assert is_endpoint(host_port, STORE)
    assert is_endpoint_name(host_port.name, STORE)
    assert not is_endpoint(HostPort(host_port.name, 80), STORE)


@pytest.mark.parametrize(
    ("older", "name"), [("api.ovh.com", "ovh-eu"), ("api.ovhcloud.com", "ovh-us")]
)
def test_an_older_host_name_is_the_same_endpoint(older, name):
    host_port = HostPort(older, 443)

    assert is_endpoint(host_port, STORE)
    assert is_endpoint_name(older, STORE)
    assert [one for one in ENDPOINTS if is_at(ENDPOINTS[one], host_port)] == [name]
    assert not is_endpoint(HostPort(older, 80), STORE)


def test_the_endpoint_of_a_profile_is_known():
    assert is_endpoint(HostPort("2001:db8::1", 8443), STORE)
    assert is_endpoint_name("2001:db8::1", STORE)
    assert not is_endpoint(HostPort("2001:db8::1", 443), STORE)


@pytest.mark.parametrize("name", ["www.ovh.com", "x.api.ovh.com", "x.eu.api.ovh.com", "localhost"])
def test_other_hosts_are_not_endpoints(name):
    assert not is_endpoint(HostPort(name, 443), STORE)
    assert not is_endpoint_name(name, STORE)


@pytest.mark.parametrize(
    ("host_port", "expected"),
    [
        (HostPort("2001:db8::1", 8443), True),
        (HostPort("2001:db8::1", None), True),
        (HostPort("2001:db8::1", 443), False),
        (HostPort("eu.api.ovh.com", None), False),
    ],
    ids=str,
)
def test_an_endpoint_is_at_its_host_and_port(host_port, expected):
    assert is_at(OWN, host_port) is expected


def test_the_token_hosts_are_the_documented_ones():
    assert {str(host_port) for host_port in TOKEN_HOSTS} == {
        "www.ovh.com:443",
        "ca.ovh.com:443",
        "us.ovhcloud.com:443",
    }
