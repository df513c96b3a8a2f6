"""Requests that name an endpoint's own host."""

from types import MappingProxyType

import pytest

from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import ProfileRefused, UnknownProfile, UnknownRoute, UnnamedProfile
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.core.target import parse_target
from ovh_proxy.policy.hosts import HostPort
from ovh_proxy.policy.routing import find_route, local_location

EU = HostPort("eu.api.ovh.com", 443)
CA = HostPort("ca.api.ovh.com", 443)
EU_BY_NAME = HostPort("eu.api.ovh.com", None)
GATEWAY = parse_endpoint("https://gw.example:8443/ovh/1.0")
BARE = parse_endpoint("https://gw.example/api")


def store(default=None, **endpoints):
    token = AccessToken(Secret("t0ken"))
    profiles = {
        name: Profile(name, ENDPOINTS.get(endpoint, endpoint), token)
        for name, endpoint in endpoints.items()
    }
    return Store(MappingProxyType(profiles), default, "store.yaml")


ALL = {"personal": "ovh-eu", "robot": "ovh-ca", "ci": "ovh-eu"}


def route(target, host_port, profiles, named=None, pins=()):
    return find_route(parse_target(target.encode()), named, pins, profiles, host_port)


@pytest.mark.parametrize(
    ("host_port", "default", "named", "pins", "expected"),
    [
        pytest.param(EU, "personal", None, (), "personal", id="the default"),
        pytest.param(EU, "ci", None, (), "ci", id="another default"),
        pytest.param(CA, "personal", None, (), "robot", id="the only one, not the default"),
        pytest.param(CA, None, None, (), "robot", id="the only one without a default"),
        pytest.param(EU_BY_NAME, "ci", None, (), "ci", id="by name, any port"),
        pytest.param(EU, "personal", "ci", (), "ci", id="the named one"),
        pytest.param(EU, "personal", None, ((), ("ci",)), "ci", id="the client's"),
        pytest.param(EU, "personal", None, (("ci",), ()), "ci", id="the listener's"),
        pytest.param(EU, None, None, (("robot", "ci"), ()), "ci", id="the listener's second"),
        pytest.param(EU, None, None, (("ci", "personal"), ()), "ci", id="the first of two"),
        pytest.param(
            EU, None, None, (("personal", "ci"), ("ci",)), "ci", id="the one that both allow"
        ),
    ],
)
def test_the_profile_of_a_host(host_port, default, named, pins, expected):
    found = route("/1.0/me", host_port, store(default, **ALL), named, pins)

    assert found.profile.name == expected


def test_two_profiles_at_one_host_are_an_error_that_names_them():
    with pytest.raises(UnnamedProfile, match=r"eu\.api\.ovh\.com:443: personal, ci;"):
        route("/1.0/me", EU, store("robot", **ALL))


def test_an_error_names_only_profiles_that_the_client_may_use():
    several = store(None, **ALL, third="ovh-eu")

    with pytest.raises(UnnamedProfile) as failure:
        route("/1.0/me", EU, several, None, ((), ()))
    with pytest.raises(UnknownProfile) as none:
        route("/1.0/me", EU, several, None, ((), ("robot",)))

    assert "personal, ci, third" in str(failure.value)
    assert "personal" not in str(none.value)


def test_a_host_without_a_profile_is_an_error_that_names_it():
    with pytest.raises(UnknownProfile, match=r"belongs to eu\.api\.kimsufi\.com"):
        route("/1.0/me", HostPort("eu.api.kimsufi.com", 443), store("personal", **ALL))


@pytest.mark.parametrize(
    ("target", "named"),
    [("/@robot/1.0/me", None), ("/1.0/me", "robot")],
    ids=["prefix", "header"],
)
def test_a_profile_of_another_endpoint_is_rejected(target, named):
    with pytest.raises(ProfileRefused, match="profile robot belongs to ovh-ca"):
        route(target, EU, store("personal", **ALL), named)


def test_a_profile_that_a_pin_excludes_is_rejected():
    with pytest.raises(ProfileRefused, match="may not use profile 'personal'"):
        route("/@personal/1.0/me", EU, store("personal", **ALL), None, ((), ("ci",)))


@pytest.mark.parametrize(
    ("target", "endpoint", "host_port", "url", "path"),
    [
        ("/1.0/me?x", "ovh-eu", EU, "https://eu.api.ovh.com/1.0/me?x", "/me"),
        ("/1.0", "ovh-eu", EU, "https://eu.api.ovh.com/1.0", "/"),
        ("/v1/me", "ovh-eu", EU, "https://eu.api.ovh.com/v1/me", "/me"),
        ("/v2/iam", "ovh-eu", EU, "https://eu.api.ovh.com/v2/iam", "/v2/iam"),
        ("/@one/1.0/me", "ovh-eu", EU, "https://eu.api.ovh.com/1.0/me", "/me"),
        (
            "/ovh/1.0/me",
            GATEWAY,
            HostPort("gw.example", 8443),
            "https://gw.example:8443/ovh/1.0/me",
            "/me",
        ),
        ("/ovh/v2/me", GATEWAY, HostPort("gw.example", 8443), GATEWAY.root + "/v2/me", "/v2/me"),
        ("/api/me", BARE, HostPort("gw.example", 443), "https://gw.example/api/me", "/me"),
        ("/api", BARE, HostPort("gw.example", 443), "https://gw.example/api", "/"),
    ],
)
def test_a_path_on_the_endpoints_host_is_forwarded_unchanged(
    target, endpoint, host_port, url, path
):
    found = route(target, host_port, store(None, one=endpoint))

    assert (found.upstream_url, found.path) == (url, path)


@pytest.mark.parametrize(
    ("target", "endpoint"),
    [
        ("/me", "ovh-eu"),
        ("/", "ovh-eu"),
        ("/console/", "ovh-eu"),
        ("/createToken/?GET=/me", "ovh-eu"),
        ("/1.0x/me", "ovh-eu"),
        ("/%31.0/me", "ovh-eu"),
        ("/-/healthz", "ovh-eu"),
        ("/@one/-/healthz", "ovh-eu"),
        ("/%2D/healthz", "ovh-eu"),
        ("/@one/me", "ovh-eu"),
        ("/1.0/me", GATEWAY),
        ("/ovh/me", GATEWAY),
        ("/ovhx/1.0/me", GATEWAY),
        ("/apis/me", BARE),
        ("/me", BARE),
    ],
)
def test_a_path_outside_the_api_is_rejected(target, endpoint):
    profiles = store(None, one=endpoint)
    name, port = ("eu.api.ovh.com", 443) if endpoint == "ovh-eu" else ("gw.example", None)

    with pytest.raises(UnknownRoute):
        route(target, HostPort(name, port), profiles)


@pytest.mark.parametrize(
    ("target", "endpoint", "start"),
    [
        ("/me?a=s3cr3t", "ovh-eu", "/1.0/, /v1/ or /v2/"),
        ("/me", GATEWAY, "/ovh/1.0/, /v1/ or /v2/"),
        ("/me", BARE, "/api/"),
    ],
    ids=["OVHcloud", "base URL with a version", "base URL"],
)
def test_the_message_names_the_path_and_the_paths_of_the_api(target, endpoint, start):
    name, port = ("eu.api.ovh.com", 443) if endpoint == "ovh-eu" else ("gw.example", None)

    with pytest.raises(UnknownRoute) as rejected:
        route(target, HostPort(name, port), store(None, one=endpoint))

    assert str(rejected.value) == (
        f"path '/me' is outside the API; on this host, paths start with {start}"
    )


@pytest.mark.parametrize(
    ("target", "endpoint", "location", "expected"),
    [
        ("/1.0/me", "ovh-eu", "https://eu.api.ovh.com/1.0/x?y", "https://HOST/1.0/x?y"),
        ("/1.0/me", "ovh-eu", "/v2/x", "/v2/x"),
        ("/@one/1.0/me", "ovh-eu", "/1.0/x", "/@one/1.0/x"),
        ("/ovh/1.0/me", GATEWAY, GATEWAY.base_url + "/x", "https://HOST/ovh/1.0/x"),
        ("/api/me", BARE, "https://gw.example/api/x", "https://HOST/api/x"),
        ("/1.0/me", "ovh-eu", "https://other.example/1.0/x", "https://other.example/1.0/x"),
    ],
)
def test_a_location_on_the_endpoints_host_stays_there(target, endpoint, location, expected):
    name = "eu.api.ovh.com" if endpoint == "ovh-eu" else "gw.example"
    found = route(target, HostPort(name, None), store(None, one=endpoint))

    assert local_location(location, found, "https://HOST") == expected
