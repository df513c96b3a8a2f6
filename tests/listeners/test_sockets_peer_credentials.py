"""The user ID of a unix socket's client, and which users a listener admits."""

import os
import socket
import sys

import pytest

from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import InheritedAddress, Listener, TcpAddress, UnixAddress
from ovh_proxy.listeners.listener import open_listener
from ovh_proxy.listeners.sockets import has_peer_credentials, peer_uid
from ovh_proxy.server.serve import Announcement

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /me HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
OWN_UID = os.getuid()
OTHER_UID = OWN_UID + 1

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux provides user IDs")


def test_the_user_of_a_unix_socket_is_known():
    one, other = socket.socketpair(socket.AF_UNIX)

    with one, other:
        found = peer_uid(one)

    assert (has_peer_credentials(), found) == (True, OWN_UID)


def test_the_user_of_a_tcp_connection_is_not_known():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        found = peer_uid(client)

    assert found is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "uids", [{OWN_UID}, {OTHER_UID, OWN_UID}, None], ids=["alone", "several", "any"]
)
async def test_an_allowed_user_is_admitted(start, upstream, unix_listener, uids):
    allowed = None if uids is None else frozenset(uids)
    proxy_server = await start(listen=(Listener(unix_listener.address, uids=allowed),))

    answer = await proxy_server.ask(GET)

    assert answer.status == 200
    assert len(upstream.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("request_bytes", [GET, POST, GET * 3, b"GET", b"garbage\r\n\r\n"])
async def test_another_user_is_rejected_and_nothing_is_forwarded(
    start, upstream, unix_listener, request_bytes
):
    proxy_server = await start(
        listen=(Listener(unix_listener.address, uids=frozenset({OTHER_UID})),)
    )
    conversation = await proxy_server.connect()
    conversation.send(request_bytes)

    answer = await conversation.answer()

    assert (answer.status, answer.code) == (403, "ORIGIN_REFUSED")
    assert "uids" in answer.json["message"]
    assert await conversation.ends_cleanly()
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_another_user_is_rejected_before_it_sends_anything(start, unix_listener):
    proxy_server = await start(
        listen=(Listener(unix_listener.address, uids=frozenset({OTHER_UID})),)
    )
    conversation = await proxy_server.connect()

    answer = await conversation.answer()

    assert answer.status == 403


@pytest.mark.asyncio
async def test_a_connection_without_a_user_id_is_rejected(start, upstream):
    # Such as an inherited socket that is TCP.
    proxy_server = await start(
        listen=(Listener(TcpAddress("127.0.0.1", 0), uids=frozenset({OWN_UID})),)
    )

    answer = await proxy_server.ask(GET)

    assert answer.status == 403
    assert upstream.requests == []


@pytest.mark.asyncio
async def test_the_users_of_an_inherited_unix_socket_are_known(start, upstream, tmp_path):
    path = str(tmp_path / "inherited.sock")
    with socket.socket(socket.AF_UNIX) as inherited:
        inherited.bind(path)
        address = InheritedAddress(inherited.fileno())
        proxy_server = await start(listen=(Listener(address, uids=frozenset({OWN_UID})),))
        proxy_server.announcements[0] = Announcement(f"unix:{path}")

        answer = await proxy_server.ask(GET.replace(b"localhost", b"eu.api.ovh.com"))

    assert answer.status == 200
    assert len(upstream.requests) == 1


@pytest.mark.asyncio
async def test_a_system_that_cannot_tell_does_not_listen(unix_listener, monkeypatch):
    monkeypatch.delattr(socket, "SO_PEERCRED")
    listener = Listener(UnixAddress(unix_listener.address.path), uids=frozenset({OWN_UID}))

    with pytest.raises(ListenFailed, match="does not provide the user IDs"):
        await open_listener(listener, lambda: None)

    assert not os.path.exists(unix_listener.address.path)
