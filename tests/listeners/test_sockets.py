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
from ovh_proxy.listeners.sockets import bind, why

# Of nobody here.
MADE_UP = 54_321

root_alone = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)


@pytest.fixture
def address(tmp_path) -> UnixAddress:
    """Where a unix socket may be."""
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
        ({"owner": str(MADE_UP)}, (MADE_UP, os.getgid())),
        ({"group": str(MADE_UP)}, (os.getuid(), MADE_UP)),
        ({"owner": str(MADE_UP), "group": str(MADE_UP + 1)}, (MADE_UP, MADE_UP + 1)),
        ({"owner": "root", "group": "root"}, (0, 0)),
    ],
    ids=["owner", "group", "both", "names"],
)
def test_a_socket_file_has_its_owner_and_mode_before_anybody_can_connect(address, given, expected):
    found = owned(Listener(address, mode=0o660, **given))

    assert found == (*expected, 0o660)


def test_a_bound_socket_takes_nobody_in_before_it_listens(address):
    (bound,) = bind(Listener(address, mode=0o666))

    with bound, socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(address.path)


@pytest.mark.parametrize("what", ["owner", "group"])
@pytest.mark.parametrize("name", ["nobody-has-this-name", str(2**32 - 1), str(2**32), "²"])
def test_an_owner_that_is_not_known_is_told_and_leaves_no_file(address, what, name):
    listener = Listener(address, **{what: name})

    with pytest.raises(ListenFailed, match=f"the {what} of a unix socket, {name}, is not known"):
        bind(listener)

    assert not os.path.exists(address.path)


@pytest.fixture
def nobodys_directory():
    """Where the user `MADE_UP`, who this process is for the test, may write."""
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, MADE_UP, MADE_UP)
        os.seteuid(MADE_UP)
        yield directory
        os.seteuid(0)


@root_alone
def test_an_owner_that_may_not_be_set_leaves_no_file(nobodys_directory):
    path = f"{nobodys_directory}/proxy.sock"

    with pytest.raises(ListenFailed, match=os.strerror(errno.EPERM)):
        bind(Listener(UnixAddress(path), owner="0"))

    assert os.listdir(nobodys_directory) == []


def test_abstract_names_are_refused_on_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(ListenFailed, match="Linux only"):
        bind(Listener(UnixAddress("@name")))


def test_unix_sockets_are_refused_where_there_are_none(address, monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX")

    with pytest.raises(ListenFailed, match="listen on TCP loopback"):
        bind(Listener(address))


@pytest.mark.asyncio
async def test_a_name_that_another_process_has_taken_since_is_left_alone(address):
    opened = await open_listener(Listener(address), asyncio.Protocol)
    opened.close()
    successor = await open_listener(Listener(address), asyncio.Protocol)

    opened.close()  # at the end of the drain

    assert os.path.exists(address.path)
    successor.close()
    assert not os.path.exists(address.path)


@contextmanager
def unlistenable(kind: str) -> Iterator[socket.socket]:
    """A socket that a process may inherit and cannot listen on."""
    with ExitStack() as opened:
        if kind == "datagrams":
            yield opened.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        elif kind == "connected":
            ends = [opened.enter_context(end) for end in socket.socketpair()]
            yield ends[0]
        else:  # two may be bound to one port, as long as neither listens
            first, second = (opened.enter_context(socket.socket()) for _ in range(2))
            for one in (first, second):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind(("127.0.0.1", 0))
            second.bind(first.getsockname())
            first.listen()
            yield second


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("datagrams", "it is no stream socket"),
        ("connected", "the socket is connected to somebody"),
        ("port in use", "another program listens there"),
    ],
)
async def test_an_inherited_socket_that_cannot_listen_is_told_and_left(kind, told):
    with unlistenable(kind) as inherited:
        address = InheritedAddress(inherited.fileno())

        with pytest.raises(ListenFailed, match=f"cannot listen on {address}: {told}"):
            await open_listener(Listener(address), asyncio.Protocol)

        assert os.fstat(address.descriptor)


CI = Client("ci", sha256(b"made up").digest())


@pytest.mark.asyncio
async def test_an_inherited_socket_that_other_machines_reach_is_refused(start):
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
async def test_an_inherited_socket_may_be_reached_by_others_where_that_is_meant(start, given):
    with socket.create_server(("0.0.0.0", 0)) as inherited:
        listener = Listener(InheritedAddress(inherited.fileno()))

        front = await start(listen=(listener,), **given)

    assert front.addresses == [str(listener.address)]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (OSError(errno.EADDRINUSE, "x"), "another program listens there"),
        (OSError(errno.EACCES, "x"), "not permitted"),
        (OSError(errno.EPERM, "x"), os.strerror(errno.EPERM)),
        (TimeoutError("timed out"), "it failed"),
        (socket.gaierror(-2, "x"), "the host name does not resolve"),
    ],
)
def test_a_failure_to_listen_says_what_to_do(failure, told):
    assert why(failure).startswith(told)


def test_a_port_is_not_shared_with_another_program_on_windows(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")

    (bound,) = bind(Listener(TcpAddress("127.0.0.1", 0)))

    with bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


def test_a_name_of_which_one_address_is_taken_is_not_bound_at_all():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ListenFailed, match="another program listens there"):
            bind(Listener(TcpAddress("localhost", port)))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_sends_no_more_ahead_than_some_pieces(host):
    bound = bind(Listener(TcpAddress(host, 0)))
    with ExitStack() as stack:
        for one in bound:
            stack.enter_context(one)

        sizes = [one.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for one in bound]

        # Linux doubles what it is told, for its own bookkeeping.
        assert all(size <= 2 * 65_536 for size in sizes)


@pytest.mark.parametrize("is_inherited", [False, True], ids=["bound", "inherited"])
def test_a_client_whose_machine_is_gone_is_found_out(is_inherited):
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
