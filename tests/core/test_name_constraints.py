import pytest

from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.name_constraints import DEFAULT_CONSTRAINTS, parse_ip


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_the_host_of_every_endpoint_is_permitted(endpoint):
    host = endpoint.base_url.removeprefix("https://").partition("/")[0]

    assert DEFAULT_CONSTRAINTS.cover(host)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS)
def test_token_hosts_are_not_permitted(endpoint):
    host = (endpoint.token_url or "https://www.ovh.com/").split("/")[2]

    assert not DEFAULT_CONSTRAINTS.cover(host)


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "a.localhost",
        "a-b.c_d.localhost",
        "0.localhost",
        "x.eu.api.ovh.com",
        "api.ovh.com",
        "api.ovhcloud.com",
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "0:0:0:0:0:0:0:1",
        f"{'a' * 63}.localhost",
        f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 51}.localhost",
    ],
)
def test_loopback_and_subdomains_are_permitted(name):
    assert DEFAULT_CONSTRAINTS.cover(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        ".localhost",
        "a..localhost",
        "notlocalhost",
        "localhost.example",
        "LOCALHOST",
        "*.localhost",
        "-a.localhost",
        "a-.localhost",
        "a b.localhost",
        "a\0.localhost",
        "a.localhost\n",
        "é.localhost",
        f"{'a' * 64}.localhost",
        f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 52}.localhost",
        "ovh.com",
        "ovhcloud.com",
        "www.example.com",
        "126.255.255.255",
        "128.0.0.1",
        "10.0.0.1",
        "127.1",
        "2130706433",
        "::2",
        "::",
        "::ffff:127.0.0.1",
        "::1%lo",
        "[::1]",
    ],
)
def test_everything_else_is_not_permitted(name):
    assert not DEFAULT_CONSTRAINTS.cover(name)


def test_str_lists_the_constraints_in_one_line():
    assert str(DEFAULT_CONSTRAINTS).startswith("eu.api.ovh.com, ca.api.ovh.com, ")
    assert str(DEFAULT_CONSTRAINTS).endswith(", localhost, 127.0.0.0/8, ::1/128")


@pytest.mark.parametrize(
    ("text", "is_one"), [("127.0.0.1", True), ("::1", True), ("::1%1", False), ("x", False)]
)
def test_an_address_is_distinguished_from_a_name(text, is_one):
    assert (parse_ip(text) is not None) == is_one
