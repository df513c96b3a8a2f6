"""A TLS listener reached under an endpoint's name, by a hosts file or DNS."""

import asyncio
import ssl

import pytest
from support.handshake import trusting
from support.proxy_server import Conversation, read_message

from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import AutoTls, Listener, Profile, TcpAddress
from ovh_proxy.tls.stored_authority import AuthorityFiles, read_authority

pytestmark = pytest.mark.asyncio

LOOPBACK = TcpAddress("127.0.0.1", 0)


@pytest.fixture
def serving(start, tmp_path, make_profile, make_store):
    """Starts a server with one profile of the test's upstream, and one without profiles."""
    listen = (Listener(LOOPBACK, tls=AutoTls(str(tmp_path))), Listener(LOOPBACK))
    return lambda **changes: start(listen=listen, **changes)


@pytest.fixture
def ask(tmp_path):
    """Sends a request to the first listener, and verifies the certificate for a name."""

    async def ask_for(proxy_server, name, target, *lines):
        context: ssl.SSLContext = trusting(read_authority(AuthorityFiles(tmp_path)).root_pem)
        port = int(proxy_server.addresses[0].rpartition(":")[2])
        ends = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        conversation = Conversation(*ends)
        proxy_server.conversations.append(conversation)
        fields = [f"GET {target} HTTP/1.1", f"Host: {name}", *lines, "", ""]
        conversation.send("\r\n".join(fields).encode())
        return await read_message(conversation.reader)

    return ask_for


def at(name: str) -> Profile:
    return Profile(name, ENDPOINTS[name], AccessToken(Secret("t0ken")))


async def test_the_name_of_an_endpoint_selects_its_profile(
    serving, ask, upstream, make_store, make_profile
):
    proxy_server = await serving(store=make_store(make_profile(), at("ovh-ca"), default="personal"))

    response = await ask(proxy_server, "eu.api.ovh.com", "/1.0/me")

    # No profile has this endpoint; the default profile is not used instead.
    assert (response.status, response.code) == (404, "UNKNOWN_PROFILE")
    assert upstream.requests == []


async def test_two_profiles_of_the_endpoint_are_listed(serving, ask, make_store, make_profile):
    others = (at("ovh-eu"), Profile("second", ENDPOINTS["ovh-eu"], AccessToken(Secret("t0ken"))))
    proxy_server = await serving(store=make_store(make_profile(), *others, default="personal"))

    response = await ask(proxy_server, "eu.api.ovh.com", "/1.0/me")

    assert (response.status, response.code) == (400, "BAD_REQUEST")
    assert "ovh-eu, second" in response.json["message"]


async def test_the_proxys_own_names_are_still_served(serving, ask, upstream):
    proxy_server = await serving()

    response = await ask(proxy_server, "localhost", "/me")

    assert (response.status, response.body) == (200, b"GET /1.0/me")


@pytest.mark.parametrize("target", ["/-/healthz", "/me", "/console/"])
async def test_other_paths_are_not_served_under_the_endpoint_name(
    serving, ask, upstream, make_store, make_profile, target
):
    proxy_server = await serving(store=make_store(make_profile(), at("ovh-eu"), default="personal"))

    response = await ask(proxy_server, "eu.api.ovh.com", target)

    assert (response.status, response.code) == (404, "UNKNOWN_ROUTE")
    assert upstream.requests == []


async def test_without_tls_the_endpoint_name_is_rejected(serving, upstream):
    proxy_server = await serving()

    response = await proxy_server.ask(b"GET /1.0/me HTTP/1.1\r\nHost: eu.api.ovh.com\r\n\r\n", 1)

    assert (response.status, response.code) == (403, "HOST_REFUSED")
    assert upstream.requests == []
