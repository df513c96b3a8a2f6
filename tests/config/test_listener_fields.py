import re

import pytest

from ovh_proxy.config.listener_fields import (
    is_exposed,
    parse_address,
    parse_host_name,
    parse_origin,
)
from ovh_proxy.core.settings import InheritedAddress, TcpAddress, UnixAddress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", TcpAddress("127.0.0.1", 8080)),
        ("localhost:0", TcpAddress("localhost", 0)),
        ("LOCALHOST.:65535", TcpAddress("localhost", 65535)),
        ("[::1]:8080", TcpAddress("::1", 8080)),
        ("[0:0::1]:8080", TcpAddress("::1", 8080)),
        ("0.0.0.0:80", TcpAddress("0.0.0.0", 80)),
        ("proxy_1.internal:80", TcpAddress("proxy_1.internal", 80)),
        ("unix:/run/api.sock", UnixAddress("/run/api.sock")),
        ("unix:///run/api.sock", UnixAddress("/run/api.sock")),
        ("unix:api.sock", UnixAddress("api.sock")),
        ("unix:@name", UnixAddress("@name")),
        ("fd:3", InheritedAddress(3)),
    ],
)
def test_all_forms_of_addresses_are_accepted(text, expected):
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("8080", "write 127.0.0.1:8080"),
        (":8080", "write 127.0.0.1:8080"),
        ("*:8080", "write 0.0.0.0:PORT or [::]:PORT"),
        ("::1:8080", "in brackets: [::1]:8080"),
        ("::1", "in brackets"),
        ("localhost", "write HOST:PORT"),
        ("127.0.0.1", "write HOST:PORT"),
        ("localhost:", "write HOST:PORT"),
        ("localhost:http", "write HOST:PORT"),
        ("http://localhost:8080", "write HOST:PORT"),
        ("[::1]", "write HOST:PORT"),
        ("localhost:65536", "port 65536 is out of range; use 0 to 65535"),
        ("[localhost]:80", "write a host name or an IP address"),
        ("[::g]:80", "write a host name or an IP address"),
        ("127.1:80", "write a host name or an IP address"),
        ("0x7f.1:80", "write a host name or an IP address"),
        ("a b:80", "write a host name or an IP address"),
        ("-a:80", "write a host name or an IP address"),
        (f"{'a' * 254}:80", "write a host name or an IP address"),
        ("unix:", "write unix:/PATH"),
        ("unix:@", "write unix:/PATH"),
        ("unix:/run/", "write unix:/PATH"),
        ("unix:/a\0b", "write unix:/PATH"),
        (f"unix:/{'a' * 107}", "at most 107 bytes"),
        ("fd:", "fd:3 or a higher number"),
        ("fd:2", "fd:3 or a higher number"),
        ("fd:three", "fd:3 or a higher number"),
    ],
)
def test_the_problem_of_a_malformed_address_says_what_to_write(text, remedy):
    with pytest.raises(ValueError, match=re.escape(remedy)):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Proxy.Internal.", "proxy.internal"),
        ("10.0.0.1", "10.0.0.1"),
        ("[FE80::0:1]", "fe80::1"),
        ("fe80::1", "fe80::1"),
    ],
)
def test_hosts_are_normalized_as_in_host_headers(text, expected):
    assert parse_host_name(text) == expected


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a.b:80", "has a port"),
        ("*.a.b", "list each host"),
        ("a..b", "write a host name or an IP address"),
        ("http://a", "write a host name or an IP address"),
        ("a.b/", "write a host name or an IP address"),
    ],
)
def test_the_problem_of_a_malformed_host_says_what_to_write(text, remedy):
    with pytest.raises(ValueError, match=re.escape(remedy)):
        parse_host_name(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://App.Example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
    ],
)
def test_origins_are_normalized_as_browsers_send_them(text, expected):
    assert parse_origin(text) == expected


@pytest.mark.parametrize("text", ["*", "null", "app.example", "https://a/", "https://*.a", "//a"])
def test_the_problem_of_a_malformed_origin_says_what_to_write(text):
    with pytest.raises(ValueError, match=r"scheme://host"):
        parse_origin(text)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (TcpAddress("127.0.0.1", 1), False),
        (TcpAddress("127.9.9.9", 1), False),
        (TcpAddress("::1", 1), False),
        (TcpAddress("localhost", 1), False),
        (TcpAddress("a.localhost", 1), False),
        (UnixAddress("/s"), False),
        (InheritedAddress(3), False),
        (TcpAddress("0.0.0.0", 1), True),
        (TcpAddress("::", 1), True),
        (TcpAddress("192.0.2.1", 1), True),
        (TcpAddress("proxy.internal", 1), True),
    ],
    ids=str,
)
def test_only_addresses_beyond_loopback_are_exposed(address, expected):
    assert is_exposed(address) is expected
