"""Unix sockets with owners, and sockets that are inherited."""

import asyncio
import errno
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256

import pytest

from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import Client, InheritedAddress, Listener, TcpAddress, UnixAddress
from ovh_proxy.listeners.listener import open_listener
from ovh_proxy.listeners.sockets import bind, reason_of

# No user or group has this number.
UNUSED_ID = 54_321

root_alone = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)


@pytest.fixture
def address(tmp_path) -> UnixAddress:
    """A path for a unix socket."""
    return UnixAddress(str(tmp_path / "proxy.sock"))


def owned(listener: Listener) -> tuple[int, int, int]:
    """Owner, group and mode of a socket that was just bound."""
    (bound,) = bind(listener)
    with bound:
        found = os.stat(listener.address.path)
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@root_alone
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"owner": str(UNUSED_ID)}, (UNUSED_ID, os.getgid())),
        ({"group": str(UNUSED_ID)}, (os.getuid(), UNUSED_ID)),
        ({"owner": str(UNUSED_ID), "group": str(UNUSED_ID + 1)}, (UNUSED_ID, UNUSED_ID + 1)),
        ({"owner": "root", "group": "root"}, (0, 0)),
    ],
    ids=["owner", "group", "both", "names"],
)
def test_a_socket_file_has_its_owner_and_mode_before_clients_can_connect(address, given, expected):
    found = owned(Listener(address, mode=0o660, **given))

    assert found == (*expected, 0o660)


def test_a_bound_socket_accepts_no_connection_before_it_listens(address):
    (bound,) = bind(Listener(address, mode=0o666))

    with bound, socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(address.path)


@pytest.mark.parametrize("key", ["owner", "group"])
@pytest.mark.parametrize("name", ["nobody-has-this-name", str(2**32 - 1), str(2**32), "²"])
def test_an_unknown_owner_is_reported_and_leaves_no_file(address, key, name):
    listener = Listener(address, **{key: name})

    with pytest.raises(ListenFailed, match=f"{address}: unknown {key} '{name}' on this system"):
        bind(listener)

    assert not os.path.exists(address.path)


@pytest.fixture
def nobodys_directory():
    """A directory that the user `UNUSED_ID`, as which the test runs, may write to."""
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, UNUSED_ID, UNUSED_ID)
        os.seteuid(UNUSED_ID)
        yield directory
        os.seteuid(0)


@root_alone
def test_an_owner_that_cannot_be_set_leaves_no_file(nobodys_directory):
    path = f"{nobodys_directory}/proxy.sock"

    with pytest.raises(ListenFailed, match=os.strerror(errno.EPERM)):
        bind(Listener(UnixAddress(path), owner="0"))

    assert os.listdir(nobodys_directory) == []


def test_abstract_names_are_rejected_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(ListenFailed, match="Linux only"):
        bind(Listener(UnixAddress("@name")))


def test_unix_sockets_are_rejected_on_systems_without_them(address, monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX")

    with pytest.raises(ListenFailed, match="listen on TCP loopback"):
        bind(Listener(address))


@pytest.mark.asyncio
async def test_a_socket_file_that_another_process_has_replaced_is_left_alone(address):
    opened = await open_listener(Listener(address), asyncio.Protocol)
    opened.close()
    successor = await open_listener(Listener(address), asyncio.Protocol)

    opened.close()  # at the end of the drain

    assert os.path.exists(address.path)
    successor.close()
    assert not os.path.exists(address.path)


@contextmanager
def unlistenable(kind: str) -> Iterator[socket.socket]:
    """A socket that a process can inherit but cannot listen on."""
    with ExitStack() as opened:
        if kind == "datagrams":
            yield opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        elif kind == "connected":
            ends = [opened.enter_context(end) for end in socket.socketpair()]
            yield ends[0]
        else:  # two sockets can be bound to one port, as long as neither listens
            first, second = (opened.enter_context(socket.socket()) for _ in range(2))
            for one in (first, second):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind(("127.0.0.1", 0))
            second.bind(first.getsockname())
            first.listen()
            yield second


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("datagrams", "it is not a stream socket"),
        ("connected", "the socket is connected"),
        ("port in use", "another program is using it"),
    ],
)
async def test_an_inherited_socket_that_cannot_listen_is_reported_and_stays_open(kind, expected):
    with unlistenable(kind) as inherited:
        address = InheritedAddress(inherited.fileno())

        with pytest.raises(ListenFailed, match=f"cannot listen on {address}: {expected}"):
            await open_listener(Listener(address), asyncio.Protocol)

        assert os.fstat(address.descriptor)


CI = Client("ci", sha256(b"made up").digest())


@pytest.mark.asyncio
async def test_an_inherited_socket_that_other_machines_can_reach_is_rejected(start):
    with socket.create_server(("0.0.0.0", 0)) as inherited:
        listener = Listener(InheritedAddress(inherited.fileno()))

        with pytest.raises(ListenFailed) as caught:
            await start(listen=(listener,))

    assert str(caught.value).startswith(f"other machines can reach {listener.address}")
    assert "`clients`" in str(caught.value)
    assert "--allow-open" in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "given", [{"allow_open": True}, {"clients": (CI,)}], ids=["allow_open", "clients"]
)
async def test_an_inherited_socket_may_be_exposed_if_the_settings_allow_it(start, given):
    with socket.create_server(("0.0.0.0", 0)) as inherited:
        listener = Listener(InheritedAddress(inherited.fileno()))

        proxy_server = await start(listen=(listener,), **given)

    assert proxy_server.addresses == [str(listener.address)]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(errno.EADDRINUSE, "x"), "another program is using it"),
        (OSError(errno.EACCES, "x"), "permission denied"),
        (OSError(errno.EPERM, "x"), os.strerror(errno.EPERM)),
        (TimeoutError("timed out"), "unknown reason"),
        (socket.gaierror(-2, "x"), "the host name does not resolve"),
    ],
)
def test_the_reason_why_a_socket_cannot_listen_says_what_to_do(failure, expected):
    assert reason_of(failure).startswith(expected)


def test_a_port_is_not_shared_with_another_program_on_windows(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")

    (bound,) = bind(Listener(TcpAddress("127.0.0.1", 0)))

    with bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


def test_a_host_name_with_one_address_in_use_is_not_bound_at_all():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ListenFailed, match="another program is using it"):
            bind(Listener(TcpAddress("localhost", port)))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_receive_buffer_of_a_connection_is_small(host):
    bound = bind(Listener(TcpAddress(host, 0)))
    with ExitStack() as stack:
        for one in bound:
            stack.enter_context(one)

        sizes = [one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for one in bound]

        # Linux doubles the value, for its own bookkeeping.
        assert all(size <= 2 * 65_536 for size in sizes)


@pytest.mark.parametrize("is_inherited", [False, True], ids=["bound", "inherited"])
def test_accepted_connections_have_keepalive(is_inherited):
    [bound] = bind(Listener(TcpAddress("127.0.0.1", 0)))
    with ExitStack() as stack:
        stack.enter_context(bound)
        if is_inherited:
            [bound] = bind(Listener(InheritedAddress(bound.fileno())))
            stack.enter_context(bound)
        bound.listen()
        stack.enter_context(socket.create_connection(bound.getsockname()))
        bound.setblocking(True)

        accepted = stack.enter_context(bound.accept()[0])

        assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
