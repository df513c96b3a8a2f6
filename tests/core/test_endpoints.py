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
def test_an_endpoint_of_the_table(name, host, token_url):
    assert parse_endpoint(name) == Endpoint(
        name=name,
        base_url=f"https://{host}/1.0",
        token_url=token_url,
        create_app_url=f"https://{host}/createApp/",
        create_token_url=f"https://{host}/createToken/",
    )


def test_there_are_eight_endpoints():
    assert list(ENDPOINTS) == [row[0] for row in TABLE]


def test_the_sdks_table_agrees_where_it_has_the_name():
    from ovh.client import ENDPOINTS as SDK_TABLE

    shared = ENDPOINTS.keys() & SDK_TABLE.keys()

    assert len(shared) >= 7
    assert {name: ENDPOINTS[name].base_url for name in shared} == {
        name: SDK_TABLE[name] for name in shared
    }


@pytest.mark.parametrize("name", ["", "ovh", "OVH-EU", "eu.api.ovh.com", "ovh-eu "])
def test_an_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=r"known are ovh-eu, ovh-ca, .*, or a base URL"):
        parse_endpoint(name)


def test_an_endpoint_of_the_table_has_its_own_token_url():
    with pytest.raises(ValueError, match="ovh-eu has a token URL of its own"):
        parse_endpoint("ovh-eu", "https://gw.example/token")


def test_a_base_url_is_an_endpoint_of_its_own_name():
    endpoint = parse_endpoint("https://GW.example:443/ovh/1.0/", "HTTPS://gw.example/token/")

    assert endpoint == Endpoint(
        name="https://gw.example/ovh/1.0",
        base_url="https://gw.example/ovh/1.0",
        token_url="https://gw.example/token",
    )


def test_a_bad_token_url_is_refused():
    with pytest.raises(ValueError, match="in clear"):
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
def test_a_url_gets_the_one_spelling_that_is_signed_and_sent(text, url):
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
def test_a_url_in_that_spelling_stays_as_it_is(url):
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
        ("https://[::1/", "not a valid URL"),
        ("https://gw.example:port/", "not a valid URL"),
        ("https://gw.example:65536/", "not a valid URL"),
        ("ftp://gw.example/", "starts with https://"),
        ("unix:/run/api.sock", "starts with https://"),
        ("//gw.example/1.0", "starts with https://"),
        ("gw.example/1.0", "starts with https://"),
        ("https:///1.0", "starts with https://"),
        ("https://:443/1.0", "starts with https://"),
        ("https://user@gw.example/", "no user, query or fragment"),
        ("https://user:password@gw.example/", "no user, query or fragment"),
        ("https://gw.example/?", "no user, query or fragment"),
        ("https://gw.example/1.0?x=1", "no user, query or fragment"),
        ("https://gw.example/1.0#", "no user, query or fragment"),
        ("https://eu.api.ovh.com\\.evil/1.0", "a name or an address"),
        ("https://a,b/1.0", "a name or an address"),
        ("https://a%41/1.0", "a name or an address"),
        ("https://[::1%25lo]/1.0", "a name or an address"),
        ("https://gw.example//1.0", "plain segments"),
        ("https://gw.example/1.0//", "plain segments"),
        ("https://gw.example/./1.0", "plain segments"),
        ("https://gw.example/a/..", "plain segments"),
        ("https://gw.example/%31.0", "plain segments"),
        ("https://gw.example/a;b", "plain segments"),
        ("https://gw.example/a\\b", "plain segments"),
        ("http://eu.api.ovh.com/1.0", "in clear; use https://"),
        ("http://localhost.evil/1.0", "in clear; use https://"),
        ("http://0.0.0.0/1.0", "in clear; use https://"),
        ("http://192.0.2.1/1.0", "in clear; use https://"),
    ],
)
def test_a_url_that_is_unsafe_or_has_two_readings_is_refused(text, why):
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
def test_versions_live_beside_a_base_url_in_1_0(base_url, is_versioned, root):
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
def test_loopback_can_only_be_this_machine(host, loopback):
    assert is_loopback(host) is loopback
