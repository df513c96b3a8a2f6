from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import (
    BadTarget,
    ProfileRefused,
    UnknownProfile,
    UnknownRoute,
    UnnamedProfile,
)
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.core.target import parse_target
from ovh_proxy.policy.routing import find_route, is_own, local_location

PROXY = "http://127.0.0.1:8080"
EU = ENDPOINTS["ovh-eu"]


def store(default="personal", **endpoints):
    token = AccessToken(Secret("t0ken"))
    endpoints = endpoints or {"personal": EU, "robot": ENDPOINTS["ovh-ca"], "ci": EU}
    profiles = {name: Profile(name, endpoint, token) for name, endpoint in endpoints.items()}
    return Store(MappingProxyType(profiles), default, "store.yaml")


def route(target, named=None, pins=(), profiles=None):
    return find_route(parse_target(target.encode()), named, pins, profiles or store())


MAPPED = [
    # target, upstream URL, what rules are matched against
    ("/me", "https://eu.api.ovh.com/1.0/me", "/me"),
    ("/me?x=1", "https://eu.api.ovh.com/1.0/me?x=1", "/me"),
    ("/1.0/me", "https://eu.api.ovh.com/1.0/me", "/me"),
    ("/v1/me", "https://eu.api.ovh.com/v1/me", "/me"),
    ("/v2/iam/policy", "https://eu.api.ovh.com/v2/iam/policy", "/v2/iam/policy"),
    ("/@personal/me", "https://eu.api.ovh.com/1.0/me", "/me"),
    ("/@robot/me", "https://ca.api.ovh.com/1.0/me", "/me"),
    ("/@robot/1.0/me", "https://ca.api.ovh.com/1.0/me", "/me"),
    ("/@robot/v1/me", "https://ca.api.ovh.com/v1/me", "/me"),
    ("/@robot/v2/iam", "https://ca.api.ovh.com/v2/iam", "/v2/iam"),
    ("/@robot/", "https://ca.api.ovh.com/1.0/", "/"),
    ("/@robot", "https://ca.api.ovh.com/1.0/", "/"),
    ("/@robot?x", "https://ca.api.ovh.com/1.0/?x", "/"),
    ("/", "https://eu.api.ovh.com/1.0/", "/"),
    ("/?x", "https://eu.api.ovh.com/1.0/?x", "/"),
    ("/1.0", "https://eu.api.ovh.com/1.0", "/"),
    ("/1.0/", "https://eu.api.ovh.com/1.0/", "/"),
    ("/v1?x", "https://eu.api.ovh.com/v1?x", "/"),
    ("/v2", "https://eu.api.ovh.com/v2", "/v2"),
    ("/v2?", "https://eu.api.ovh.com/v2?", "/v2"),
    ("/me?", "https://eu.api.ovh.com/1.0/me?", "/me"),
    ("/domain/v2/x", "https://eu.api.ovh.com/1.0/domain/v2/x", "/domain/v2/x"),
    ("/v2foo", "https://eu.api.ovh.com/1.0/v2foo", "/v2foo"),
    ("/v3/me", "https://eu.api.ovh.com/1.0/v3/me", "/v3/me"),
    ("/1.0x/me", "https://eu.api.ovh.com/1.0/1.0x/me", "/1.0x/me"),
    ("/v%31/me", "https://eu.api.ovh.com/1.0/v%31/me", "/v%31/me"),
    ("/1.0%2Fme", "https://eu.api.ovh.com/1.0/1.0%2Fme", "/1.0%2Fme"),
    ("/1.0/v2/me", "https://eu.api.ovh.com/1.0/v2/me", "/v2/me"),
    ("/ip/a%2F24", "https://eu.api.ovh.com/1.0/ip/a%2F24", "/ip/a%2F24"),
    ("/a/@robot", "https://eu.api.ovh.com/1.0/a/@robot", "/a/@robot"),
    ("/@robot/@ci/me", "https://ca.api.ovh.com/1.0/@ci/me", "/@ci/me"),
    ("/-me", "https://eu.api.ovh.com/1.0/-me", "/-me"),
]


@pytest.mark.parametrize(("target", "url", "path"), MAPPED, ids=[row[0] for row in MAPPED])
def test_a_target_maps_to_an_upstream_url_and_a_rule_path(target, url, path):
    found = route(target)

    assert (found.upstream_url, found.path) == (url, path)


def test_a_route_has_the_decoded_path_too():
    assert route("/@robot/1.0/ip/192.0.2.0%252F24").decoded_path == "/ip/192.0.2.0/24"


OTHER_BASES = [
    ("https://gw.example/ovh", "/me", "https://gw.example/ovh/me", "/me"),
    ("https://gw.example/ovh", "/1.0/me", "https://gw.example/ovh/1.0/me", "/1.0/me"),
    ("https://gw.example/ovh", "/v2/iam", "https://gw.example/ovh/v2/iam", "/v2/iam"),
    ("https://gw.example/ovh", "/", "https://gw.example/ovh/", "/"),
    ("https://gw.example/ovh/", "/me", "https://gw.example/ovh/me", "/me"),
    ("https://gw.example", "/1.0/me", "https://gw.example/1.0/me", "/1.0/me"),
    ("https://gw.example/v1", "/v2/iam", "https://gw.example/v1/v2/iam", "/v2/iam"),
    ("https://gw.example/a/1.0", "/me", "https://gw.example/a/1.0/me", "/me"),
    ("https://gw.example/a/1.0", "/v1/me", "https://gw.example/a/v1/me", "/me"),
    ("https://gw.example/a/1.0/", "/v2/iam", "https://gw.example/a/v2/iam", "/v2/iam"),
    ("http://127.0.0.1:8081/1.0", "/me", "http://127.0.0.1:8081/1.0/me", "/me"),
]


@pytest.mark.parametrize(("base", "target", "url", "path"), OTHER_BASES)
def test_a_base_url_without_1_0_is_a_plain_prefix(base, target, url, path):
    found = route(target, profiles=store(own=parse_endpoint(base), default="own"))

    assert (found.upstream_url, found.path) == (url, path)


@given(
    rest=st.text(st.characters(codec="ascii"), max_size=20),
    query=st.text(st.characters(codec="ascii", exclude_characters="#"), max_size=20),
    prefix=st.sampled_from(["", "/@robot"]),
)
def test_path_and_query_are_forwarded_byte_for_byte(rest, query, prefix):
    try:
        found = route(f"{prefix}/x{rest}?{query}")
    except BadTarget:
        return

    assert found.upstream_url.endswith(f".api.ovh.com/1.0/x{rest}?{query}")


CHOICES = [
    # prefix, header, listener's and client's profiles, chosen profile
    pytest.param("", None, (), (), "personal", id="the store's default"),
    pytest.param("/@robot", None, (), (), "robot", id="the prefix"),
    pytest.param("", "robot", (), (), "robot", id="the header"),
    pytest.param("/@ci", "robot", (), (), "ci", id="the prefix overrides the header"),
    pytest.param("", None, ("robot", "ci"), (), "robot", id="the listener's first"),
    pytest.param("", None, (), ("ci", "robot"), "ci", id="the client's first"),
    pytest.param(
        "", None, ("robot",), ("ci", "robot"), "robot", id="the listener's overrides the client's"
    ),
    pytest.param("", "ci", ("robot", "ci"), (), "ci", id="the header within the listener's"),
    pytest.param("/@ci", None, (), ("robot", "ci"), "ci", id="the prefix within the client's"),
]


@pytest.mark.parametrize(("prefix", "header", "listener", "client", "chosen"), CHOICES)
def test_the_choice_of_a_profile(prefix, header, listener, client, chosen):
    found = route(f"{prefix}/me", header, (listener, client))

    assert found.profile.name == chosen
    assert found.prefix == prefix


@pytest.mark.parametrize(
    ("prefix", "header", "listener", "client"),
    [
        pytest.param("/@personal", None, ("robot",), (), id="the prefix outside the listener's"),
        pytest.param("", "personal", ("robot",), (), id="the header outside the listener's"),
        pytest.param("/@personal", None, (), ("ci",), id="the prefix outside the client's"),
        pytest.param("", "robot", ("robot",), ("ci",), id="outside one of two"),
        pytest.param("/@nobody", None, ("robot",), (), id="an unknown name looks no different"),
    ],
)
def test_a_pin_rejects_any_other_profile(prefix, header, listener, client):
    named = header or prefix.removeprefix("/@")

    with pytest.raises(ProfileRefused) as rejected:
        route(f"{prefix}/me", header, (listener, client))

    assert str(rejected.value) == f"this listener or client may not use profile '{named}'"


def test_pins_that_exclude_each_other_reject_without_the_name_of_the_listeners_profile():
    with pytest.raises(ProfileRefused) as rejected:
        route("/me", None, (("robot",), ("ci",)))

    assert str(rejected.value) == (
        "this client may not use the listener's first profile; name another"
    )


@pytest.mark.parametrize(
    ("target", "named", "shown"),
    [
        ("/@nobody/me", None, "'nobody'; use personal, robot or ci"),
        ("/@nobody", None, "'nobody'; use personal, robot or ci"),
        ("/me", "nobody", "'nobody'; use personal, robot or ci"),
        ("/me", "", "''; use personal, robot or ci"),
        ("/@/me", None, "''; use personal, robot or ci"),
        ("/@", "robot", "''; use personal, robot or ci"),
        ("/@Robot/me", None, "'Robot'; did you mean 'robot'?"),
        ("/@ro%62ot/me", None, "'ro%62ot'; did you mean 'robot'?"),
        ("/@robot%2Fme", None, "'robot%2Fme'; did you mean 'robot'?"),
        ("/me", "\xe9\x1b[2J", "'\\xe9\\x1b[2J'; use personal, robot or ci"),
        (f"/@{'x' * 90}/me", None, f"'{'x' * 80}…'; use personal, robot or ci"),
    ],
)
def test_an_unknown_profile_is_rejected_with_its_name_and_the_known_ones(target, named, shown):
    with pytest.raises(UnknownProfile) as rejected:
        route(target, named)

    assert str(rejected.value) == f"unknown profile {shown}"


@pytest.mark.parametrize("target", ["/%40nobody/me", "/%40robot/me", "/%2540robot/me"])
def test_an_escaped_prefix_never_leads_to_the_default_profile(target):
    with pytest.raises(UnknownProfile):
        route(target)


def test_a_pin_to_a_missing_profile_shows_no_other_names():
    with pytest.raises(UnknownProfile, match=r"^unknown profile 'gone'; there are no profiles$"):
        route("/me", None, (("gone",), ()))


def test_the_only_profile_needs_no_default():
    found = route("/me", profiles=store(default=None, only=EU))

    assert found.profile.name == "only"


def test_with_several_profiles_and_no_default_the_request_must_name_one():
    with pytest.raises(
        UnnamedProfile, match=r"no default profile; name a or b by /@NAME/"
    ) as rejected:
        route("/me", profiles=store(default=None, a=EU, b=EU))

    assert (rejected.value.status, rejected.value.code) == (400, "BAD_REQUEST")


def test_a_request_without_any_profiles_is_rejected():
    empty = Store(MappingProxyType({}), None, "nowhere")

    with pytest.raises(UnnamedProfile, match="there are no profiles"):
        route("/me", profiles=empty)


@pytest.mark.parametrize(
    "target",
    [
        "/-/",
        "/-/healthz",
        "/-/nothing",
        "/%2D/healthz",
        "/-%2Fhealthz",
        "/%252D/healthz",
        "/@robot/-/healthz",
        "/@robot/%2d/healthz",
        "/@nobody/-/healthz",
        "/@/-/healthz",
    ],
)
def test_the_proxys_own_paths_are_never_forwarded_raw_or_decoded(target):
    with pytest.raises(UnknownRoute):
        route(target)


LOCATIONS = [
    # request, Location, Location for the client
    ("/me", "https://eu.api.ovh.com/1.0/me/task/1", f"{PROXY}/1.0/me/task/1"),
    ("/me", "https://eu.api.ovh.com/v2/iam?a=b#c", f"{PROXY}/v2/iam?a=b#c"),
    ("/me", "https://eu.api.ovh.com/v1", f"{PROXY}/v1"),
    ("/me", "https://eu.api.ovh.com/1.0?x=/", f"{PROXY}/1.0?x=/"),
    ("/me", "https://eu.api.ovh.com/1.0#end", f"{PROXY}/1.0#end"),
    ("/me", "https://eu.api.ovh.com/1.0/me#", f"{PROXY}/1.0/me#"),
    ("/me", "https://eu.api.ovh.com/1.0/me?", f"{PROXY}/1.0/me?"),
    ("/me", "https://eu.api.ovh.com/1.0/me?next=https://X", f"{PROXY}/1.0/me?next=https://X"),
    ("/@ci/me", "https://eu.api.ovh.com/1.0/me/task/1", f"{PROXY}/@ci/1.0/me/task/1"),
    ("/me", "HTTPS://EU.api.ovh.com:443/1.0/Me", f"{PROXY}/1.0/Me"),
    ("/@ci/me", "/1.0/me/task/1", "/@ci/1.0/me/task/1"),
    ("/@ci/me", "/1.0/me/?#", "/@ci/1.0/me/?#"),
    ("/me", "//eu.api.ovh.com/1.0/me", f"{PROXY}/1.0/me"),
    ("/@robot/me", "https://ca.api.ovh.com/1.0/me", f"{PROXY}/@robot/1.0/me"),
]


@pytest.mark.parametrize(("request_target", "location", "local"), LOCATIONS)
def test_a_location_in_the_same_endpoint_becomes_a_url_of_the_proxy(
    request_target, location, local
):
    assert local_location(location, route(request_target), PROXY) == local


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("https://www.ovh.com/manager/", id="another host"),
        pytest.param("https://ca.api.ovh.com/1.0/me", id="another endpoint"),
        pytest.param("https://eu.api.ovh.com.evil/1.0/me", id="a host with the same start"),
        pytest.param("https://eu.api.ovh.com@evil/1.0/me", id="a user that looks like the host"),
        pytest.param("https://eu.api.ovh.com:8443/1.0/me", id="another port"),
        pytest.param("http://eu.api.ovh.com/1.0/me", id="another scheme"),
        pytest.param("//evil/1.0/me", id="a host without a scheme"),
        pytest.param("https://eu.api.ovh.com/auth/?credentialToken=x", id="outside the API"),
        pytest.param("https://eu.api.ovh.com/1.0x/me", id="a version with the same start"),
        pytest.param("https://eu.api.ovh.com/?x=/1.0/me", id="the version in the query only"),
        pytest.param("https://eu.api.ovh.com/#/1.0/me", id="the version in the fragment only"),
        pytest.param("https://eu.api.ovh.com", id="the bare host"),
        pytest.param("mailto:someone@example.com", id="another kind of URL"),
        pytest.param("/\t/[", id="not a URL"),
    ],
)
def test_a_location_elsewhere_is_unchanged(location):
    assert local_location(location, route("/@ci/me"), PROXY) == location


@pytest.mark.parametrize(
    "location",
    [
        "/1.0/me?next=https://x?y",
        "/1.0/ip/a%2F24/task",
        "/auth/?credentialToken=x",
        "/a?",
        "/a;",
        "/a#",
        "/a/../b/./c",
        "",
        "\t/a",
        "task/1",
        "../console/",
        "?a=2",
        "policy/1?x=a://b",
    ],
)
def test_a_relative_location_that_needs_no_prefix_is_unchanged(location):
    assert local_location(location, route("/me/bill"), PROXY) == location


@pytest.mark.parametrize(
    ("base", "location", "local"),
    [
        ("https://gw.example/ovh", "https://gw.example/ovh/me/1", f"{PROXY}/@own/me/1"),
        ("https://gw.example/ovh", "/ovh/me/1", "/@own/me/1"),
        ("https://gw.example/ovh", "bill", "bill"),
        ("https://gw.example/ovh", "https://gw.example/ovhx/me", "https://gw.example/ovhx/me"),
        ("https://gw.example/ovh", "https://gw.example/other", "https://gw.example/other"),
        ("https://gw.example/a/1.0", "https://gw.example/a/v2/b", f"{PROXY}/@own/v2/b"),
        ("https://gw.example/a/1.0", "https://gw.example/1.0/me", "https://gw.example/1.0/me"),
        ("http://localhost/1.0", "http://localhost:80/1.0/me", f"{PROXY}/@own/1.0/me"),
    ],
)
def test_a_location_at_another_base_url(base, location, local):
    found = route("/@own/me", profiles=store(own=parse_endpoint(base)))

    assert local_location(location, found, PROXY) == local


@pytest.mark.parametrize("target", ["/1.0/me?x=1", "/v1/me", "/v2/iam", "/@robot/1.0/me"])
def test_a_rewritten_location_maps_to_the_same_upstream_url(target):
    found = route(target)

    location = local_location(found.upstream_url, found, PROXY)

    assert route(location.removeprefix(PROXY)).upstream_url == found.upstream_url


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/-/healthz", True),
        ("/-/", True),
        ("/-", False),
        ("/me", False),
        ("/me/-/", False),
        ("/@robot/-/healthz", False),
    ],
)
def test_the_proxys_own_paths_start_with_a_dash(path, expected):
    assert is_own(path) is expected


def test_the_repr_of_a_route_does_not_show_its_query():
    found = route("/me?password=hunter2")

    shown = repr(found)

    assert "/me" in shown
    assert "hunter2" not in shown


def test_a_pinned_client_sees_no_other_profile_names():
    with pytest.raises(UnknownProfile) as failure:
        route("/me", pins=(("ghost", "robot"), ()))

    assert "robot" in str(failure.value)
    assert "personal" not in str(failure.value)
    assert "ci" not in str(failure.value).split()
