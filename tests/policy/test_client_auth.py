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
def test_a_host_header_is_parsed(raw, host):
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
def test_a_malformed_host_is_a_bad_request(raw):
    with pytest.raises(BadRequest, match="Host"):
        admit(headers(host=raw), LOOPBACK, Settings())


@given(raw=st.binary(max_size=20))
def test_the_host_parser_raises_nothing_but_bad_request(raw):
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
def test_loopback_names_are_served_on_any_port(host, entry_point):
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
def test_any_other_host_is_rejected_because_of_dns_rebinding(host):
    with pytest.raises(HostRefused):
        admit(headers(host=host), LOOPBACK, Settings())


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        (b"Evil.example:8080", "Host 'evil.example' is not served here; add it to `hosts`"),
        (b"a" * 200, f"Host '{'a' * 80}…' is not served here; add it to `hosts`"),
    ],
    ids=["as parsed", "cut"],
)
def test_the_message_names_the_rejected_host_and_the_setting(host, shown):
    with pytest.raises(HostRefused) as rejected:
        admit(headers(host=host), LOOPBACK, Settings())

    assert str(rejected.value) == f"{shown} in the settings"


@pytest.mark.parametrize("host", [b"proxy.internal", b"PROXY.internal.:8080", b"[2001:db8::1]"])
def test_hosts_in_the_settings_are_served(host):
    settings = Settings(hosts=frozenset({"proxy.internal", "2001:db8::1"}))

    assert admit(headers(host=host), LOOPBACK, settings) is None


@pytest.mark.parametrize("host", [b"a.proxy.internal", b"internal", b"proxy.internal.evil"])
def test_a_host_in_the_settings_is_not_a_pattern(host):
    settings = Settings(hosts=frozenset({"proxy.internal"}))

    with pytest.raises(HostRefused):
        admit(headers(host=host), LOOPBACK, settings)


@pytest.mark.parametrize("host", [b"localhost", b"docker", b"evil.example", b"192.0.2.9:1"])
@pytest.mark.parametrize("entry_point", [UNIX, INHERITED_UNIX], ids=["bound", "inherited"])
def test_on_a_unix_socket_any_host_is_served(entry_point, host):
    assert admit(headers(host=host), entry_point, Settings()) is None


def test_an_inherited_tcp_socket_serves_only_its_own_hosts():
    with pytest.raises(HostRefused):
        admit(headers(host=b"evil.example"), INHERITED_TCP, Settings())


ALLOWED_ORIGINS = [
    pytest.param(LOOPBACK, b"localhost:8080", b"http://localhost:8080", id="the same origin"),
    pytest.param(LOOPBACK, b"LOCALHOST:8080", b"http://localhost:8080", id="Host in capitals"),
    pytest.param(LOOPBACK, b"localhost.:8080", b"http://localhost:8080", id="a trailing dot"),
    pytest.param(LOOPBACK, b"127.0.0.1:8080", b"http://127.0.0.1:8080", id="by address"),
    pytest.param(LOOPBACK, b"[0::1]:8080", b"http://[::1]:8080", id="by IPv6 address"),
    pytest.param(PUBLIC, b"192.0.2.7:8443", b"https://192.0.2.7:8443", id="over TLS"),
    pytest.param(PUBLIC_6, b"[2001:db8::7]", b"https://[2001:db8::7]", id="default port twice"),
    pytest.param(PUBLIC_6, b"[2001:db8::7]:443", b"https://[2001:db8::7]", id="default port once"),
]


@pytest.mark.parametrize(("entry_point", "host", "origin"), ALLOWED_ORIGINS)
def test_the_same_origin_is_allowed(entry_point, host, origin):
    raw = headers((b"Origin", origin), (b"Sec-Fetch-Site", b"same-origin"), host=host)

    assert admit(raw, entry_point, Settings()) is None


def test_port_80_is_the_default():
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
def test_another_origin_is_rejected(entry_point, host, origin):
    with pytest.raises(OriginRefused, match="`origins`"):
        admit(headers((b"Origin", origin), host=host), entry_point, Settings())


@pytest.mark.parametrize(
    ("origin", "shown"),
    [
        (b"https://Evil.example", "'https://Evil.example'"),
        (b"x\xff\x1b[2J", "'x\\xff\\x1b[2J'"),
        (b"x" * 81, f"'{'x' * 80}…'"),
    ],
    ids=["as sent", "escaped", "cut"],
)
def test_the_message_names_the_rejected_origin_and_the_setting(origin, shown):
    with pytest.raises(OriginRefused) as rejected:
        admit(headers((b"Origin", origin)), LOOPBACK, Settings())

    assert str(rejected.value) == (
        f"Origin {shown} is not allowed; add it to `origins` in the settings"
    )


@pytest.mark.parametrize("site", [b"none", b"same-origin"])
def test_requests_that_the_user_started_are_allowed(site):
    assert admit(headers((b"Sec-Fetch-Site", site)), LOOPBACK, Settings()) is None


@pytest.mark.parametrize(
    "sites",
    [
        [b"cross-site"],
        [b"same-site"],
        [b"Same-Origin"],
        [b""],
        [b"none", b"cross-site"],
        [b"cross-site", b"none"],
    ],
)
def test_requests_from_a_page_of_another_site_are_rejected(sites):
    raw = headers(*((b"Sec-Fetch-Site", site) for site in sites))

    with pytest.raises(OriginRefused, match="another site"):
        admit(raw, LOOPBACK, Settings())


def test_the_same_origin_fetched_across_sites_is_rejected():
    raw = headers((b"Origin", b"http://localhost:8080"), (b"Sec-Fetch-Site", b"cross-site"))

    with pytest.raises(OriginRefused):
        admit(raw, LOOPBACK, Settings())


@pytest.mark.parametrize("origin", [b"https://console.example", b"HTTPS://Console.example"])
def test_origins_in_the_settings_are_allowed_across_sites(origin):
    settings = Settings(origins=frozenset({"https://console.example"}))
    raw = headers((b"Origin", origin), (b"Sec-Fetch-Site", b"cross-site"))

    assert admit(raw, LOOPBACK, settings) is None


@pytest.mark.parametrize(
    "origin",
    [b"https://console.example:8443", b"http://console.example", b"https://a.console.example"],
)
def test_an_origin_in_the_settings_is_not_a_pattern(origin):
    settings = Settings(origins=frozenset({"https://console.example"}))

    with pytest.raises(OriginRefused):
        admit(headers((b"Origin", origin)), LOOPBACK, settings)


@pytest.mark.parametrize(
    "header",
    [
        (b"Origin", b"http://app.localhost:8080"),
        (b"Origin", b"https://console.example"),
        (b"Origin", b"null"),
        (b"Sec-Fetch-Site", b"same-origin"),
        (b"Sec-Fetch-Site", b"none"),
        (b"SEC-FETCH-MODE", b"navigate"),
    ],
)
def test_on_a_localhost_name_all_requests_from_browsers_are_rejected(header):
    settings = Settings(origins=frozenset({"https://console.example"}))

    with pytest.raises(OriginRefused, match=r"Host 'app\.localhost'"):
        admit(headers(header, host=b"app.localhost:8080"), LOOPBACK, settings)


CI = Client("ci", hashlib.sha256(b"t0ken").digest())
ROBOT = Client("robot", hashlib.sha256(b"0ther").digest())
WITH_CLIENTS = Settings(clients=(CI, ROBOT))


def basic(text):
    return b"Basic " + b64encode(text)


VALID_TOKENS = [
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
        id="Bearer with a wrong application",
    ),
    pytest.param(
        [(b"X-Ovh-Application", b"t0ken"), (b"Authorization", b"Bearer no")],
        id="application with a wrong Bearer",
    ),
    pytest.param(
        [(b"X-Ovh-Application", b"no"), (b"X-Ovh-Application", b"t0ken")],
        id="one of two applications",
    ),
    pytest.param(
        [(b"X-Ovh-Application", b"t0ken"), (b"Authorization", b"Basic !")],
        id="application with a malformed Basic",
    ),
]


@pytest.mark.parametrize("raw", VALID_TOKENS)
def test_a_valid_token_identifies_its_client_in_any_header(raw):
    assert admit(headers(*raw), LOOPBACK, WITH_CLIENTS) is CI


def test_a_password_may_contain_a_colon():
    settings = Settings(clients=(Client("ci", hashlib.sha256(b"a:b").digest()),))

    client = admit(headers((b"Authorization", basic(b"ci:a:b"))), LOOPBACK, settings)

    assert client is settings.clients[0]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param([], id="nothing"),
        pytest.param([(b"Authorization", b"")], id="an empty Authorization"),
        pytest.param([(b"Authorization", b"Bearer")], id="Bearer without a token"),
        pytest.param([(b"Authorization", b"Bearer  ")], id="Bearer and spaces"),
        pytest.param([(b"Authorization", b"t0ken")], id="no scheme"),
        pytest.param([(b"Authorization", b"Digest t0ken")], id="another scheme"),
        pytest.param([(b"Authorization", basic(b"ci:"))], id="Basic with an empty password"),
        pytest.param([(b"Authorization", basic(b"t0ken"))], id="Basic without a password"),
        pytest.param([(b"Authorization", b"Basic t0ken!")], id="Basic without base64"),
        pytest.param(
            [(b"Authorization", b"Basic !" + b64encode(b"ci:t0ken"))],
            id="Basic with an invalid character",
        ),
        pytest.param([(b"Authorization", b"Basic \xff")], id="Basic with a non-ASCII byte"),
        pytest.param([(b"X-Ovh-Application", b"")], id="an empty application"),
        pytest.param([(b"X-Ovh-Consumer", b"t0ken")], id="another header"),
    ],
)
def test_a_request_without_a_token_is_rejected(raw):
    with pytest.raises(ClientTokenRequired, match="Authorization: Bearer"):
        admit(headers(*raw), LOOPBACK, WITH_CLIENTS)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param([(b"Authorization", b"Bearer wr0ng")], id="Bearer"),
        pytest.param([(b"Authorization", basic(b"ci:wr0ng"))], id="Basic"),
        pytest.param([(b"Authorization", basic(b"t0ken:wr0ng"))], id="the token as user"),
        pytest.param([(b"X-Ovh-Application", b"wr0ng")], id="X-Ovh-Application"),
        pytest.param([(b"Authorization", b"Bearer T0KEN wr0ng")], id="other letters"),
        pytest.param([(b"Authorization", b"Bearer " + CI.digest.hex().encode())], id="the digest"),
    ],
)
def test_a_wrong_token_is_rejected_and_not_repeated(raw):
    with pytest.raises(ClientTokenRefused) as rejected:
        admit(headers(*raw), LOOPBACK, WITH_CLIENTS)

    assert str(rejected.value) == "the client token is unknown or not accepted on this listener"


def entry_point_for(*names):
    listener = Listener(TcpAddress("127.0.0.1", 8080), clients=frozenset(names))
    return EntryPoint(listener, "http", "127.0.0.1", 8080)


def test_a_listener_accepts_its_own_clients():
    assert (
        admit(headers((b"Authorization", b"Bearer t0ken")), entry_point_for("ci"), WITH_CLIENTS)
        is CI
    )


def test_a_listener_rejects_clients_of_other_listeners():
    with pytest.raises(ClientTokenRefused):
        admit(headers((b"Authorization", b"Bearer t0ken")), entry_point_for("robot"), WITH_CLIENTS)


@pytest.mark.parametrize(
    ("name", "client"), [("ci", CI), ("robot", ROBOT)], ids=["application", "bearer"]
)
def test_of_two_valid_tokens_the_one_of_the_listeners_client_counts(name, client):
    raw = headers((b"X-Ovh-Application", b"t0ken"), (b"Authorization", b"Bearer 0ther"))

    assert admit(raw, entry_point_for(name), WITH_CLIENTS) is client


def test_without_clients_tokens_are_ignored():
    assert admit(headers((b"Authorization", b"Bearer wr0ng")), LOOPBACK, Settings()) is None


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (headers(host=b"evil.example"), HostRefused),
        (headers((b"Origin", b"https://evil.example")), OriginRefused),
    ],
    ids=["host", "origin"],
)
def test_host_and_origin_are_checked_before_tokens(raw, error):
    with pytest.raises(error):
        admit(raw, LOOPBACK, WITH_CLIENTS)
