import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.core.errors import (
    BadRequest,
    ClientTokenRefused,
    ClientTokenRequired,
    HostRefused,
    OriginRefused,
)
from ovh_proxy.core.settings import (
    Client,
    InheritedAddress,
    Listener,
    Settings,
    TcpAddress,
    UnixAddress,
)
from ovh_proxy.policy.client_auth import EntryPoint, admit
from ovh_proxy.policy.headers import RequestHeaders
from ovh_proxy.policy.hosts import Host, parse_host_header

LOOPBACK = EntryPoint(Listener(TcpAddress("127.0.0.1", 8080)), "http", "127.0.0.1", 8080)
PUBLIC = EntryPoint(Listener(TcpAddress("0.0.0.0", 8443)), "https", "192.0.2.7", 8443)
PUBLIC_6 = EntryPoint(Listener(TcpAddress("::", 443)), "https", "2001:db8::7", 443)
UNIX = EntryPoint(Listener(UnixAddress("/run/api.sock")), "http", "", 0)
INHERITED_UNIX = EntryPoint(Listener(InheritedAddress(3)), "http", "", 0)
INHERITED_TCP = EntryPoint(Listener(InheritedAddress(3)), "http", "127.0.0.1", 8080)


def headers(*raw, host=b"localhost:8080"):
    return RequestHeaders((*(() if host is None else ((b"Host", host),)), *raw))


@pytest.mark.parametrize(
    ("raw", "host"),
    [
        (b"localhost", Host("localhost", None)),
        (b"localhost:8080", Host("localhost", 8080)),
        (b"localhost:", Host("localhost", None)),
        (b"LocalHost.", Host("localhost", None)),
        (b"localhost.:80", Host("localhost", 80)),
        (b"127.0.0.1:8080", Host("127.0.0.1", 8080)),
        (b"[::1]", Host("::1", None)),
        (b"[::1]:8080", Host("::1", 8080)),
        (b"[0:0:0:0:0:0:0:1]", Host("::1", None)),
        (b"[2001:DB8::0:7]:443", Host("2001:db8::7", 443)),
        (b"[::ffff:127.0.0.1]", Host("::ffff:7f00:1", None)),
        (b"my_host-1.example", Host("my_host-1.example", None)),
    ],
)
def test_a_host_is_taken_apart(raw, host):
    found = parse_host_header(raw)

    # Python versions write IPv4-mapped addresses in two ways.
    assert Host(found.name.replace("127.0.0.1", "7f00:1"), found.port) == Host(
        host.name.replace("127.0.0.1", "7f00:1"), host.port
    )


MALFORMED_HOSTS = [
    None,
    b"",
    b":8080",
    b"a b",
    b"localhost:http",
    b"localhost:-1",
    b"localhost:123456",
    b"localhost:80:80",
    b"localhost/",
    b"localhost, evil",
    b"localhost@evil",
    b"user@localhost",
    b"http://localhost",
    b"local\\host",
    b"localhost%00",
    b"caf\xe9",
    b"::1",
    b"[::1",
    b"::1]",
    b"[]",
    b"[:::]",
    b"[127.0.0.1]",
    b"[1:2:3]",
    b"[::1]x",
    b"[::1%25lo]",
    b"[::1%lo]",
    b"localhost\n",
]


@pytest.mark.parametrize("raw", MALFORMED_HOSTS)
def test_a_host_that_is_none_is_a_bad_request(raw):
    with pytest.raises(BadRequest, match="Host"):
        admit(headers(host=raw), LOOPBACK, Settings())


@given(raw=st.binary(max_size=20))
def test_no_host_makes_the_parser_stumble(raw):
    try:
        host = parse_host_header(raw)
    except BadRequest:
        return

    assert host.name == host.name.lower()


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"localhost:8080",
        b"localhost:1",
        b"LOCALHOST.",
        b"127.0.0.1",
        b"127.0.0.1:9999",
        b"[::1]",
        b"[0000:0000::0001]:8080",
        b"app.localhost",
        b"a.b.LocalHost.:8080",
    ],
)
@pytest.mark.parametrize(
    "entry_point", [LOOPBACK, PUBLIC, UNIX], ids=["loopback", "public", "unix"]
)
def test_loopbacks_own_names_are_served_on_any_port(host, entry_point):
    assert admit(headers(host=host), entry_point, Settings()) is None


@pytest.mark.parametrize(
    ("host", "entry_point"),
    [
        pytest.param(b"192.0.2.7", PUBLIC, id="its IPv4 address"),
        pytest.param(b"192.0.2.7:8443", PUBLIC, id="with a port"),
        pytest.param(b"192.0.2.7:1", PUBLIC, id="with another port"),
        pytest.param(b"[2001:db8::7]", PUBLIC_6, id="its IPv6 address"),
        pytest.param(b"[2001:0DB8:0::0007]:443", PUBLIC_6, id="in another spelling"),
    ],
)
def test_the_listeners_own_address_is_served(host, entry_point):
    assert admit(headers(host=host), entry_point, Settings()) is None


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:8080",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"evillocalhost",
        b"localhost..",
        b"192.0.2.7",
        b"127.0.0.2",
        b"127.1",
        b"2130706433",
        b"0x7f.0.0.1",
        b"0.0.0.0",
        b"0",
        b"[::]",
        b"[::2]",
        b"eu.api.ovh.com",
    ],
)
def test_any_other_host_is_refused_because_a_web_page_may_be_behind_it(host):
    with pytest.raises(HostRefused):
        admit(headers(host=host), LOOPBACK, Settings())


@pytest.mark.parametrize("host", [b"proxy.internal", b"PROXY.internal.:8080", b"[2001:db8::1]"])
def test_hosts_of_the_settings_are_served(host):
    settings = Settings(hosts=frozenset({"proxy.internal", "2001:db8::1"}))

    assert admit(headers(host=host), LOOPBACK, settings) is None


@pytest.mark.parametrize("host", [b"a.proxy.internal", b"internal", b"proxy.internal.evil"])
def test_a_host_of_the_settings_is_no_pattern(host):
    settings = Settings(hosts=frozenset({"proxy.internal"}))

    with pytest.raises(HostRefused):
        admit(headers(host=host), LOOPBACK, settings)


@pytest.mark.parametrize("host", [b"localhost", b"docker", b"evil.example", b"192.0.2.9:1"])
@pytest.mark.parametrize("entry_point", [UNIX, INHERITED_UNIX], ids=["bound", "inherited"])
def test_on_a_unix_socket_any_host_is_served(entry_point, host):
    assert admit(headers(host=host), entry_point, Settings()) is None


def test_an_inherited_tcp_socket_serves_no_other_host_than_one_of_its_own():
    with pytest.raises(HostRefused):
        admit(headers(host=b"evil.example"), INHERITED_TCP, Settings())


ORIGINS_LET_IN = [
    pytest.param(LOOPBACK, b"localhost:8080", b"http://localhost:8080", id="the same origin"),
    pytest.param(LOOPBACK, b"LOCALHOST:8080", b"http://localhost:8080", id="Host in capitals"),
    pytest.param(LOOPBACK, b"localhost.:8080", b"http://localhost:8080", id="a trailing dot"),
    pytest.param(LOOPBACK, b"127.0.0.1:8080", b"http://127.0.0.1:8080", id="by address"),
    pytest.param(LOOPBACK, b"[0::1]:8080", b"http://[::1]:8080", id="by IPv6 address"),
    pytest.param(PUBLIC, b"192.0.2.7:8443", b"https://192.0.2.7:8443", id="over TLS"),
    pytest.param(PUBLIC_6, b"[2001:db8::7]", b"https://[2001:db8::7]", id="default port twice"),
    pytest.param(PUBLIC_6, b"[2001:db8::7]:443", b"https://[2001:db8::7]", id="default port once"),
]


@pytest.mark.parametrize(("entry_point", "host", "origin"), ORIGINS_LET_IN)
def test_the_same_origin_is_let_in(entry_point, host, origin):
    raw = headers((b"Origin", origin), (b"Sec-Fetch-Site", b"same-origin"), host=host)

    assert admit(raw, entry_point, Settings()) is None


def test_port_80_goes_without_saying():
    entry_point = EntryPoint(Listener(TcpAddress("127.0.0.1", 80)), "http", "127.0.0.1", 80)
    raw = headers((b"Origin", b"http://localhost"), host=b"localhost")

    assert admit(raw, entry_point, Settings()) is None


@pytest.mark.parametrize(
    ("entry_point", "host", "origin"),
    [
        pytest.param(LOOPBACK, b"localhost:8080", b"https://evil.example", id="another site"),
        pytest.param(LOOPBACK, b"localhost:8080", b"https://localhost:8080", id="another scheme"),
        pytest.param(LOOPBACK, b"localhost:8080", b"http://localhost:3000", id="another port"),
        pytest.param(LOOPBACK, b"localhost:3000", b"http://localhost:3000", id="not our port"),
        pytest.param(LOOPBACK, b"localhost:3000", b"http://localhost:8080", id="Host's port"),
        pytest.param(LOOPBACK, b"localhost", b"http://localhost", id="Host without our port"),
        pytest.param(LOOPBACK, b"localhost:8080", b"http://127.0.0.1:8080", id="another name"),
        pytest.param(LOOPBACK, b"localhost:8080", b"null", id="null"),
        pytest.param(LOOPBACK, b"localhost:8080", b"", id="empty"),
        pytest.param(LOOPBACK, b"localhost:8080", b"http://", id="no host"),
        pytest.param(LOOPBACK, b"localhost:8080", b"http://[:::]:8080", id="no address"),
        pytest.param(LOOPBACK, b"localhost:8080", b"http://localhost:8080/", id="a path"),
        pytest.param(LOOPBACK, b"localhost:8080", b"http://x@localhost:8080", id="a user"),
        pytest.param(LOOPBACK, b"localhost:8080", b"\xff://localhost:8080", id="no ASCII"),
        pytest.param(UNIX, b"localhost", b"http://localhost", id="any, on a unix socket"),
    ],
)
def test_another_origin_is_refused(entry_point, host, origin):
    with pytest.raises(OriginRefused, match="`origins`"):
        admit(headers((b"Origin", origin), host=host), entry_point, Settings())


@pytest.mark.parametrize("host_port", [b"none", b"same-origin"])
def test_what_the_browsers_user_asked_for_is_let_in(host_port):
    assert admit(headers((b"Sec-Fetch-Site", host_port)), LOOPBACK, Settings()) is None


@pytest.mark.parametrize(
    "fetched",
    [
        [b"cross-site"],
        [b"same-site"],
        [b"Same-Origin"],
        [b""],
        [b"none", b"cross-site"],
        [b"cross-site", b"none"],
    ],
)
def test_what_another_sites_page_asks_for_is_refused(fetched):
    raw = headers(*((b"Sec-Fetch-Site", host_port) for host_port in fetched))

    with pytest.raises(OriginRefused, match="another site"):
        admit(raw, LOOPBACK, Settings())


def test_the_same_origin_fetched_across_sites_is_refused():
    raw = headers((b"Origin", b"http://localhost:8080"), (b"Sec-Fetch-Site", b"cross-site"))

    with pytest.raises(OriginRefused):
        admit(raw, LOOPBACK, Settings())


@pytest.mark.parametrize("origin", [b"https://console.example", b"HTTPS://Console.example"])
def test_origins_of_the_settings_are_let_in_across_sites(origin):
    settings = Settings(origins=frozenset({"https://console.example"}))
    raw = headers((b"Origin", origin), (b"Sec-Fetch-Site", b"cross-site"))

    assert admit(raw, LOOPBACK, settings) is None


@pytest.mark.parametrize(
    "origin",
    [b"https://console.example:8443", b"http://console.example", b"https://a.console.example"],
)
def test_an_origin_of_the_settings_is_no_pattern(origin):
    settings = Settings(origins=frozenset({"https://console.example"}))

    with pytest.raises(OriginRefused):
        admit(headers((b"Origin", origin)), LOOPBACK, settings)


@pytest.mark.parametrize(
    "shown",
    [
        (b"Origin", b"http://app.localhost:8080"),
        (b"Origin", b"https://console.example"),
        (b"Origin", b"null"),
        (b"Sec-Fetch-Site", b"same-origin"),
        (b"Sec-Fetch-Site", b"none"),
        (b"SEC-FETCH-MODE", b"navigate"),
    ],
)
def test_on_a_localhost_name_anything_from_a_browser_is_refused(shown):
    settings = Settings(origins=frozenset({"https://console.example"}))

    with pytest.raises(OriginRefused, match=r"\.localhost"):
        admit(headers(shown, host=b"app.localhost:8080"), LOOPBACK, settings)


CI = Client("ci", hashlib.sha256(b"t0ken").digest())
ROBOT = Client("robot", hashlib.sha256(b"0ther").digest())
GUARDED = Settings(clients=(CI, ROBOT))


def basic(text):
    return b"Basic " + b64encode(text)


SHOWN = [
    pytest.param([(b"Authorization", b"Bearer t0ken")], id="Bearer"),
    pytest.param([(b"Authorization", b"bearer   t0ken ")], id="bearer with spaces"),
    pytest.param([(b"Authorization", basic(b"anyone:t0ken"))], id="password of Basic"),
    pytest.param(
        [(b"Authorization", basic(b":t0ken").lower()[:6] + b64encode(b":t0ken"))],
        id="basic without a user",
    ),
    pytest.param([(b"Authorization", basic(b"ci:t0ken") + b" ")], id="basic and a space"),
    pytest.param([(b"X-Ovh-Application", b"t0ken")], id="X-Ovh-Application"),
    pytest.param(
        [(b"X-Ovh-Application", b"no"), (b"Authorization", b"Bearer t0ken")],
        id="Bearer beside a wrong application",
    ),
    pytest.param(
        [(b"X-Ovh-Application", b"t0ken"), (b"Authorization", b"Bearer no")],
        id="application beside a wrong Bearer",
    ),
    pytest.param(
        [(b"X-Ovh-Application", b"no"), (b"X-Ovh-Application", b"t0ken")],
        id="one of two applications",
    ),
    pytest.param(
        [(b"X-Ovh-Application", b"t0ken"), (b"Authorization", b"Basic !")],
        id="application beside a broken Basic",
    ),
]


@pytest.mark.parametrize("shown", SHOWN)
def test_a_token_lets_its_client_in_wherever_it_is_shown(shown):
    assert admit(headers(*shown), LOOPBACK, GUARDED) is CI


def test_a_password_may_hold_a_colon():
    settings = Settings(clients=(Client("ci", hashlib.sha256(b"a:b").digest()),))

    client = admit(headers((b"Authorization", basic(b"ci:a:b"))), LOOPBACK, settings)

    assert client is settings.clients[0]


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param([], id="nothing"),
        pytest.param([(b"Authorization", b"")], id="an empty Authorization"),
        pytest.param([(b"Authorization", b"Bearer")], id="Bearer alone"),
        pytest.param([(b"Authorization", b"Bearer  ")], id="Bearer and spaces"),
        pytest.param([(b"Authorization", b"t0ken")], id="no scheme"),
        pytest.param([(b"Authorization", b"Digest t0ken")], id="another scheme"),
        pytest.param([(b"Authorization", basic(b"ci:"))], id="Basic with an empty password"),
        pytest.param([(b"Authorization", basic(b"t0ken"))], id="Basic without a password"),
        pytest.param([(b"Authorization", b"Basic t0ken!")], id="Basic that is no base64"),
        pytest.param(
            [(b"Authorization", b"Basic !" + b64encode(b"ci:t0ken"))], id="Basic with more in it"
        ),
        pytest.param([(b"Authorization", b"Basic \xff")], id="Basic that is no ASCII"),
        pytest.param([(b"X-Ovh-Application", b"")], id="an empty application"),
        pytest.param([(b"X-Ovh-Consumer", b"t0ken")], id="another header"),
    ],
)
def test_without_a_token_one_is_asked_for(shown):
    with pytest.raises(ClientTokenRequired, match="Authorization: Bearer"):
        admit(headers(*shown), LOOPBACK, GUARDED)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param([(b"Authorization", b"Bearer wr0ng")], id="Bearer"),
        pytest.param([(b"Authorization", basic(b"ci:wr0ng"))], id="Basic"),
        pytest.param([(b"Authorization", basic(b"t0ken:wr0ng"))], id="the token as user"),
        pytest.param([(b"X-Ovh-Application", b"wr0ng")], id="X-Ovh-Application"),
        pytest.param([(b"Authorization", b"Bearer T0KEN wr0ng")], id="other letters"),
        pytest.param([(b"Authorization", b"Bearer " + CI.digest.hex().encode())], id="the digest"),
    ],
)
def test_a_wrong_token_is_refused_and_not_repeated(shown):
    with pytest.raises(ClientTokenRefused) as refused:
        admit(headers(*shown), LOOPBACK, GUARDED)

    assert str(refused.value) == "this client token does not open this listener"


def door_of(*names):
    listener = Listener(TcpAddress("127.0.0.1", 8080), clients=frozenset(names))
    return EntryPoint(listener, "http", "127.0.0.1", 8080)


def test_a_listener_lets_its_own_clients_in():
    assert admit(headers((b"Authorization", b"Bearer t0ken")), door_of("ci"), GUARDED) is CI


def test_a_listener_refuses_the_clients_of_others():
    with pytest.raises(ClientTokenRefused):
        admit(headers((b"Authorization", b"Bearer t0ken")), door_of("robot"), GUARDED)


@pytest.mark.parametrize(
    ("name", "client"), [("ci", CI), ("robot", ROBOT)], ids=["application", "bearer"]
)
def test_of_two_valid_tokens_the_one_of_the_listeners_client_lets_in(name, client):
    raw = headers((b"X-Ovh-Application", b"t0ken"), (b"Authorization", b"Bearer 0ther"))

    assert admit(raw, door_of(name), GUARDED) is client


def test_without_clients_no_token_is_looked_at():
    assert admit(headers((b"Authorization", b"Bearer wr0ng")), LOOPBACK, Settings()) is None


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (headers(host=b"evil.example"), HostRefused),
        (headers((b"Origin", b"https://evil.example")), OriginRefused),
    ],
    ids=["host", "origin"],
)
def test_a_web_page_learns_nothing_about_tokens(raw, error):
    with pytest.raises(error):
        admit(raw, LOOPBACK, GUARDED)
