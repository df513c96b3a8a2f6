import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.errors import BadTarget
from ovh_proxy.policy.forward_proxy import parse_absolute, parse_connect
from ovh_proxy.policy.hosts import HostPort

EU = HostPort("eu.api.ovh.com", 443)


@pytest.mark.parametrize(
    ("target", "host_port"),
    [
        (b"eu.api.ovh.com:443", EU),
        (b"EU.Api.Ovh.Com.:443", EU),
        (b"192.0.2.7:65535", HostPort("192.0.2.7", 65535)),
        (b"[2001:DB8::0:1]:8443", HostPort("2001:db8::1", 8443)),
        (b"3com.com:443", HostPort("3com.com", 443)),
        (b"host.1com:443", HostPort("host.1com", 443)),
    ],
)
def test_a_connect_target_is_a_host_and_a_port(target, host_port):
    assert parse_connect(target) == host_port


@pytest.mark.parametrize(
    "target",
    [
        b"eu.api.ovh.com",
        b"eu.api.ovh.com:",
        b"eu.api.ovh.com:0",
        b"eu.api.ovh.com:65536",
        b"eu.api.ovh.com:443/",
        b"eu.api.ovh.com:443?x",
        b"user@eu.api.ovh.com:443",
        b"user:pass@eu.api.ovh.com:443",
        b"https://eu.api.ovh.com:443",
        b"eu.api.ovh.com:443:443",
        b"eu.api.ovh.com%2e:443",
        b":443",
        b"2001:db8::1:443",
        b"[2001:db8::1]",
        b"[::1%25lo]:443",
        b"127.1:443",
        b"2130706433:443",
        b"0x7f000001:443",
        b"0x7f.0.0.0x1:443",
        b"0177.0.0.1:443",
        b"1.2.3.4.5:443",
    ],
)
def test_any_other_connect_target_is_rejected(target):
    with pytest.raises(BadTarget):
        parse_connect(target)


@pytest.mark.parametrize(
    ("target", "host_port", "port", "origin_form"),
    [
        (b"http://eu.api.ovh.com/1.0/me?x=1", EU, 80, b"/1.0/me?x=1"),
        (b"HTTP://EU.api.ovh.com:80/1.0/me", EU, 80, b"/1.0/me"),
        (b"https://eu.api.ovh.com/1.0/me", EU, 443, b"/1.0/me"),
        (b"https://eu.api.ovh.com:443/1.0/me", EU, 443, b"/1.0/me"),
        (b"http://eu.api.ovh.com", EU, 80, b"/"),
        (b"http://eu.api.ovh.com?x", EU, 80, b"/?x"),
        (b"http://127.0.0.1:8080//a", HostPort("127.0.0.1", 8080), 8080, b"//a"),
        (b"http://127.0.0.1:65535/a", HostPort("127.0.0.1", 65535), 65535, b"/a"),
        (b"https://127.0.0.1:80/a", HostPort("127.0.0.1", 80), 80, b"/a"),
        (b"https://127.0.0.1:444/a", HostPort("127.0.0.1", 444), 444, b"/a"),
    ],
)
def test_an_absolute_target_is_parsed(target, host_port, port, origin_form):
    found = parse_absolute(target)

    assert (found.host_port, found.port, found.origin_form) == (host_port, port, origin_form)


@pytest.mark.parametrize(
    "target",
    [
        b"ftp://eu.api.ovh.com/",
        b"eu.api.ovh.com:443",
        b"http:/eu.api.ovh.com/",
        b"http:///me",
        b"http://user@eu.api.ovh.com/me",
        b"http://eu.api.ovh.com:0/me",
        b"http://eu.api.ovh.com:65536/me",
        b"http://eu.api.ovh.com:99999/me",
        b"http://eu.api.ovh.com#x",
        b"http://127.1/me",
        b"http://eu.api.ovh.com\\@evil/",
        b"*",
    ],
)
def test_any_other_target_is_rejected(target):
    with pytest.raises(BadTarget):
        parse_absolute(target)


@given(target=st.binary(max_size=40))
def test_the_target_parsers_raise_nothing_but_bad_target(target):
    for parse in (parse_connect, parse_absolute):
        try:
            parse(target)
        except BadTarget:
            continue
