"""The upstream HTTP proxy, as a URL or a reference to one."""

import pytest

from ovh_proxy.config.server_settings import load_listeners
from ovh_proxy.config.settings_fields import parse_proxy
from ovh_proxy.core.errors import ConfigurationError
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import DEFAULT_LISTENERS, HttpProxy, TcpAddress

STORE = "profiles: {a: {endpoint: ovh-eu, access_token: AT1}}\n"
ADDRESS = TcpAddress("10.0.0.1", 3128)


@pytest.mark.parametrize(
    ("url", "address", "login"),
    [
        ("http://10.0.0.1:3128", ADDRESS, None),
        ("http://10.0.0.1:3128/", ADDRESS, None),
        ("http://Proxy.Internal:80", TcpAddress("proxy.internal", 80), None),
        ("http://[::1]:3128", TcpAddress("::1", 3128), None),
        ("http://user:S3CRET@10.0.0.1:3128", ADDRESS, "user:S3CRET"),
        ("http://user@10.0.0.1:3128", ADDRESS, "user:"),
        ("http://us%40r:a%3Ab%2F%25@10.0.0.1:3128", ADDRESS, "us@r:a:b/%"),
        ("http://user:a:b@c@10.0.0.1:3128", ADDRESS, "user:a:b@c"),
        ("http://user:%C3%A9%FF@10.0.0.1:3128", ADDRESS, "user:é\udcff"),
    ],
    ids=[
        "an address",
        "a slash behind it",
        "a name",
        "IPv6",
        "a login",
        "a user alone",
        "escapes",
        "a colon and an at sign as they are",
        "bytes",
    ],
)
def test_a_proxy_has_a_host_a_port_and_an_optional_login(url, address, login):
    proxy = parse_proxy(url)

    assert proxy == HttpProxy(address, None if login is None else Secret(login))
    assert "S3CRET" not in repr(proxy)


@pytest.mark.parametrize(
    "url",
    [
        "https://a:1",
        "https://user:S3CRET@a:1",
        "socks5://a:1",
        "a:1",
        "http://a",
        "http://user:S3CRET@a",
        "http://a:x",
        "http://a:0",
        "http://a:65536",
        "http://a:1/b",
        "http://a:1?b",
        "http://a:1#b",
        "http://@a:1",
        "http://user:S3/CRET@a:1",
        "http://::1:3128",
        "http://[::1]",
    ],
)
def test_the_problem_of_a_malformed_url_says_what_to_write(url):
    with pytest.raises(ValueError, match="http://HOST:PORT") as caught:
        parse_proxy(url)

    assert "S3" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://a b:1", "http://*.a:1", "http://[a]:1", "http://1.2.3:1"])
def test_a_malformed_host_is_a_problem(url):
    with pytest.raises(ValueError, match="host"):
        parse_proxy(url)


@pytest.fixture
def load(machine):
    """Loads settings with such a proxy, beside a good store and a file with a URL."""
    machine.write("etc/ovh-proxy/credentials.yaml", STORE)
    machine.write("url", "http://user:S3CRET@10.0.0.1:3128\n")

    def load(proxy, url="http://user:S3CRET@10.0.0.1:3128"):
        config = machine.write("ovh-proxy.yaml", f"upstream: {{proxy: {proxy}}}\n")
        return machine.load(config=config, environ={"PROXY_URL": url}).upstream.proxy

    return load


@pytest.mark.parametrize("reference", ["{file: url}", "{env: PROXY_URL}"])
def test_a_url_with_a_login_may_be_a_reference(load, reference):
    proxy = load(reference)

    assert proxy == HttpProxy(ADDRESS, Secret("user:S3CRET"))


def test_a_url_without_a_login_may_be_a_reference_too(load):
    assert load("{env: PROXY_URL}", "http://10.0.0.1:3128") == HttpProxy(ADDRESS)


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("'http://user:S3CRET@a:1'", "write a reference to the whole URL"),
        ("'http://user@a:1'", "write a reference to the whole URL"),
        ("{env: PROXY_URL}", "invalid proxy URL (not shown, it may be a secret)"),
        ("{env: NONE_SUCH}", "NONE_SUCH is not set"),
        ("{url: a}", "unknown kind of reference"),
        ("[a]", "expected text, got a list"),
    ],
    ids=["in clear", "a user in clear", "no URL", "unset", "no reference", "a list"],
)
def test_a_problem_never_shows_the_url(load, proxy, message):
    with pytest.raises(ConfigurationError) as caught:
        load(proxy, "ftp://user:S3CRET@a:1")

    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (1, "upstream.proxy")
    assert message in problem.message
    assert "S3CRET" not in str(caught.value)


def test_loading_the_listeners_resolves_no_reference(machine):
    config = machine.write("ovh-proxy.yaml", "upstream: {proxy: {env: NONE_SUCH}}\n")

    listeners = load_listeners(machine.sources(config=config))

    assert listeners == (DEFAULT_LISTENERS, None)
