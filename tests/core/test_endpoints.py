import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.endpoints import ENDPOINTS, Endpoint, is_loopback, parse_endpoint, parse_url

# Source: the endpoint tables of python-ovh, go-ovh and php-ovh.
TABLE = [
    ("ovh-eu", "eu.api.ovh.com", "https://www.ovh.com/auth/oauth2/token"),
    ("ovh-ca", "ca.api.ovh.com", "https://ca.ovh.com/auth/oauth2/token"),
    ("ovh-us", "api.us.ovhcloud.com", "https://us.ovhcloud.com/auth/oauth2/token"),
    ("kimsufi-eu", "eu.api.kimsufi.com", None),
    ("kimsufi-ca", "ca.api.kimsufi.com", None),
    ("soyoustart-eu", "eu.api.soyoustart.com", None),
    ("soyoustart-ca", "ca.api.soyoustart.com", None),
    ("runabove-ca", "api.runabove.com", None),
]


@pytest.mark.parametrize(("name", "host", "token_url"), TABLE, ids=[row[0] for row in TABLE])
def test_a_named_endpoint(name, host, token_url):
    assert parse_endpoint(name) == Endpoint(
        name=name,
        base_url=f"https://{host}/1.0",
        token_url=token_url,
        create_app_url=f"https://{host}/createApp/",
        create_token_url=f"https://{host}/createToken/",
    )


def test_there_are_eight_endpoints():
    assert list(ENDPOINTS) == [row[0] for row in TABLE]


def test_the_table_agrees_with_the_sdk():
    from ovh.client import ENDPOINTS as SDK_TABLE

    shared = ENDPOINTS.keys() & SDK_TABLE.keys()

    assert len(shared) >= 7
    assert {name: ENDPOINTS[name].base_url for name in shared} == {
        name: SDK_TABLE[name] for name in shared
    }


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("", f"use {', '.join(ENDPOINTS)} or a base URL"),
        ("eu.api.ovh.com", f"use {', '.join(ENDPOINTS)} or a base URL"),
        ("ovh", "did you mean 'ovh-us'?"),
        ("OVH-EU", "did you mean 'ovh-eu'?"),
        ("ovh-eu ", "did you mean 'ovh-eu'?"),
    ],
)
def test_an_unknown_name_is_rejected_with_a_suggestion(name, remedy):
    with pytest.raises(ValueError, match="unknown endpoint") as rejected:
        parse_endpoint(name)

    assert str(rejected.value) == f"unknown endpoint '{name}'; {remedy}"


def test_a_named_endpoint_accepts_no_other_token_url():
    with pytest.raises(ValueError, match="ovh-eu has its own token URL"):
        parse_endpoint("ovh-eu", "https://gw.example/token")


def test_a_base_url_is_an_endpoint_named_by_it():
    endpoint = parse_endpoint("https://GW.example:443/ovh/1.0/", "HTTPS://gw.example/token/")

    assert endpoint == Endpoint(
        name="https://gw.example/ovh/1.0",
        base_url="https://gw.example/ovh/1.0",
        token_url="https://gw.example/token",
    )


def test_a_bad_token_url_is_rejected():
    with pytest.raises(ValueError, match="in plain text"):
        parse_endpoint("https://gw.example/1.0", "http://gw.example/token")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://eu.api.ovh.com/1.0", "https://eu.api.ovh.com/1.0"),
        ("https://eu.api.ovh.com/1.0/", "https://eu.api.ovh.com/1.0"),
        ("https://eu.api.ovh.com/", "https://eu.api.ovh.com"),
        ("https://gw.example/ovhX", "https://gw.example/ovhX"),
        ("https://eu.api.ovh.com", "https://eu.api.ovh.com"),
        ("HTTPS://EU.API.OVH.COM/1.0", "https://eu.api.ovh.com/1.0"),
        ("https://gw.example:443/1.0", "https://gw.example/1.0"),
        ("https://gw.example:/1.0", "https://gw.example/1.0"),
        ("https://gw.example:8443/1.0", "https://gw.example:8443/1.0"),
        ("https://gw.example:80/1.0", "https://gw.example:80/1.0"),
        ("https://192.0.2.1/1.0", "https://192.0.2.1/1.0"),
        ("https://[2001:DB8::1]:8443/1.0", "https://[2001:db8::1]:8443/1.0"),
        ("http://127.0.0.1:8080/a/1.0", "http://127.0.0.1:8080/a/1.0"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://api.localhost/1.0", "http://api.localhost/1.0"),
        ("https://gw.example/~a/b-c_d.e/$&'()*+,=:@", "https://gw.example/~a/b-c_d.e/$&'()*+,=:@"),
    ],
)
def test_a_url_is_normalized_to_the_spelling_that_is_signed_and_sent(text, url):
    assert parse_url(text) == url


LETTERS = string.ascii_lowercase + string.digits + "."
URLS = st.builds(
    "https://{}{}{}{}".format,
    st.text(LETTERS + "-", min_size=1, max_size=20),
    st.just("") | st.integers(0, 9999).map(":{}".format),
    st.lists(st.text(LETTERS, min_size=1, max_size=5).map("/{}".format), max_size=3).map("".join),
    st.sampled_from(("", "/")),
)


@given(url=URLS)
def test_a_normalized_url_is_unchanged(url):
    try:
        once = parse_url(url)
    except ValueError:
        return

    assert parse_url(once) == once


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://gw.example/a b", "printable ASCII"),
        ("https://gw.example/a\n", "printable ASCII"),
        ("https://gw.example/\x7f", "printable ASCII"),
        ("https://gw.exämple/", "printable ASCII"),
        ("https://[::1/", "malformed host or port"),
        ("https://gw.example:port/", "malformed host or port"),
        ("https://gw.example:65536/", "malformed host or port"),
        ("ftp://gw.example/", "must start with https://"),
        ("unix:/run/api.sock", "must start with https://"),
        ("//gw.example/1.0", "must start with https://"),
        ("gw.example/1.0", "must start with https://"),
        ("https:///1.0", "must start with https://"),
        ("https://:443/1.0", "must start with https://"),
        ("https://user@gw.example/", "a user, query or fragment is not allowed"),
        ("https://user:password@gw.example/", "a user, query or fragment is not allowed"),
        ("https://gw.example/?", "a user, query or fragment is not allowed"),
        ("https://gw.example/1.0?x=1", "a user, query or fragment is not allowed"),
        ("https://gw.example/1.0#", "a user, query or fragment is not allowed"),
        ("https://eu.api.ovh.com\\.evil/1.0", "a name or an IP address"),
        ("https://a,b/1.0", "a name or an IP address"),
        ("https://a%41/1.0", "a name or an IP address"),
        ("https://[::1%25lo]/1.0", "a name or an IP address"),
        ("https://gw.example//1.0", "must not contain //"),
        ("https://gw.example/1.0//", "must not contain //"),
        ("https://gw.example/./1.0", "must not contain //"),
        ("https://gw.example/a/..", "must not contain //"),
        ("https://gw.example/%31.0", "must not contain //"),
        ("https://gw.example/a;b", "must not contain //"),
        ("https://gw.example/a\\b", "must not contain //"),
        ("http://eu.api.ovh.com/1.0", "in plain text; use https://"),
        ("http://localhost.evil/1.0", "in plain text; use https://"),
        ("http://0.0.0.0/1.0", "in plain text; use https://"),
        ("http://192.0.2.1/1.0", "in plain text; use https://"),
    ],
)
def test_an_unsafe_or_ambiguous_url_is_rejected(text, why):
    with pytest.raises(ValueError, match=why):
        parse_url(text)


@pytest.mark.parametrize(
    ("base_url", "is_versioned", "root"),
    [
        ("https://eu.api.ovh.com/1.0", True, "https://eu.api.ovh.com"),
        ("https://gw.example/a/1.0", True, "https://gw.example/a"),
        ("https://gw.example", False, "https://gw.example"),
        ("https://gw.example/v1", False, "https://gw.example/v1"),
        ("https://gw.example/x1.0", False, "https://gw.example/x1.0"),
        ("https://gw.example/1.0/x", False, "https://gw.example/1.0/x"),
    ],
)
def test_a_base_url_that_ends_in_1_0_is_versioned(base_url, is_versioned, root):
    endpoint = parse_endpoint(base_url)

    assert (endpoint.is_versioned, endpoint.root) == (is_versioned, root)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST.", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("evillocalhost", False),
        ("localhost.evil", False),
        ("0.0.0.0", False),
        ("::", False),
        ("127.1", False),
        ("127.0.0.1.evil", False),
        ("192.0.2.1", False),
        ("", False),
    ],
)
def test_loopback_is_always_this_machine(host, loopback):
    assert is_loopback(host) is loopback
