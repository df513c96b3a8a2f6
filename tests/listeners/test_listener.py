"""Listeners: how their sockets are opened, rejected and removed."""

import asyncio
import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from ovh_proxy.core.errors import ListenFailed
from ovh_proxy.core.settings import InheritedAddress, Listener, TcpAddress, UnixAddress
from ovh_proxy.listeners.listener import open_listener

GET = b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n"
LOOPBACK = TcpAddress("127.0.0.1", 0)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def taken_port():
    """A port that another program is using."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.fixture
def path(tmp_path) -> Path:
    """A path for a unix socket."""
    return tmp_path / "proxy.sock"


async def opened_at(address, mode=0o600):
    return await open_listener(Listener(address, mode=mode), asyncio.Protocol)


@pytest.mark.asyncio
async def test_several_listeners_serve_side_by_side(start, upstream, unix_listener):
    proxy_server = await start(listen=(Listener(LOOPBACK), unix_listener, Listener(LOOPBACK)))

    answers = [await proxy_server.ask(GET, listener) for listener in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert len(set(proxy_server.addresses)) == 3
    assert len(upstream.requests) == 3


@pytest.mark.asyncio
@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
async def test_ipv6_is_announced_in_brackets_and_serves(start, upstream):
    proxy_server = await start(listen=(Listener(TcpAddress("::1", 0)),))

    answer = await proxy_server.ask(
        GET.replace(b"localhost", f"[::1]:{proxy_server.port}".encode())
    )

    assert proxy_server.addresses[0].startswith("http://[::1]:")
    assert answer.status == 200


@pytest.mark.asyncio
async def test_a_host_name_listens_on_all_of_its_addresses_with_one_port():
    opened = await opened_at(TcpAddress("localhost", 0))
    port = int(opened.url.rpartition(":")[2])

    families = {info[0] for info in socket.getaddrinfo("localhost", port, type=socket.SOCK_STREAM)}
    reached = set()
    for family in families:
        with socket.socket(family) as client:
            client.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
            reached.add(family)
    opened.close()

    assert reached == families
    assert opened.url == f"http://localhost:{port}"
    with pytest.raises(OSError, match=r"Connect call failed|Multiple exceptions"):
        await asyncio.open_connection("localhost", port)


@pytest.mark.asyncio
async def test_the_error_for_a_port_in_use_contains_the_address(start, taken_port, unix_listener):
    listen = (unix_listener, Listener(TcpAddress("127.0.0.1", taken_port)))

    with pytest.raises(ListenFailed, match=f"127.0.0.1:{taken_port}: another program is using it"):
        await start(listen=listen)

    assert not Path(unix_listener.address.path).exists()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (TcpAddress("192.0.2.1", 0), "192.0.2.1:0: this machine does not have that address"),
        (TcpAddress("name.invalid", 80), "name.invalid:80: the host name does not resolve"),
        (UnixAddress("/nonexistent/dir/x.sock"), "unix:/nonexistent/dir/x.sock: the directory"),
        (UnixAddress("/tmp/" + "x" * 200), "cannot listen on unix:/tmp/xxx"),
        (InheritedAddress(98765), "fd:98765: no such file descriptor"),
    ],
    ids=["address", "name", "directory", "long path", "descriptor"],
)
async def test_the_error_for_an_address_that_cannot_be_bound_contains_it(address, expected):
    with pytest.raises(ListenFailed) as caught:
        await opened_at(address)

    assert expected in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
async def test_a_unix_socket_has_its_mode_from_the_start(path, mode):
    before = os.umask(0)
    os.umask(before)

    opened = await opened_at(UnixAddress(str(path)), mode)
    found = path.stat().st_mode
    opened.close()

    assert (stat.S_IMODE(found), stat.S_ISSOCK(found)) == (mode, True)
    assert os.umask(before) == before
    assert opened.url == f"unix:{path}"


@pytest.mark.asyncio
async def test_a_unix_socket_is_removed_on_shutdown(start, unix_listener):
    proxy_server = await start(listen=(unix_listener,))
    there = os.path.exists(unix_listener.address.path)

    await proxy_server.end()

    assert there
    assert not os.path.exists(unix_listener.address.path)


@pytest.mark.asyncio
async def test_a_socket_file_that_was_removed_by_others_does_not_matter(path):
    opened = await opened_at(UnixAddress(str(path)))
    path.unlink()

    opened.close()

    assert not path.exists()


@pytest.mark.asyncio
async def test_a_stale_socket_file_is_replaced(start, upstream, unix_listener):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(unix_listener.address.path)

    proxy_server = await start(listen=(unix_listener,))
    answer = await proxy_server.ask(GET)

    assert answer.status == 200


@pytest.mark.asyncio
async def test_a_live_socket_is_left_alone(start, unix_listener):
    first = await start(listen=(unix_listener,))

    with pytest.raises(ListenFailed, match="another process is listening on it"):
        await start(listen=(unix_listener,))

    assert (await first.ask(GET)).status == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("is_directory", [True, False], ids=["directory", "file"])
async def test_a_file_that_is_not_a_socket_is_left_alone(path, is_directory):
    path.mkdir() if is_directory else path.write_text("precious")

    with pytest.raises(ListenFailed, match="the file exists and is not a socket"):
        await opened_at(UnixAddress(str(path)))

    assert path.is_dir() or path.read_text() == "precious"


@pytest.mark.asyncio
async def test_a_socket_that_cannot_be_probed_is_left_alone(path):
    # A datagram socket: a stream cannot connect to it.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))

        with pytest.raises(ListenFailed, match=r"cannot listen on unix:"):
            await opened_at(UnixAddress(str(path)))

    assert path.exists()


@pytest.mark.asyncio
@pytest.mark.skipif(sys.platform != "linux", reason="abstract names exist on Linux")
async def test_an_abstract_name_serves_without_a_file(start, upstream, tmp_path):
    name = f"@ovh-proxy-test-{os.getpid()}-{tmp_path.name}"
    proxy_server = await start(listen=(Listener(UnixAddress(name)),))

    answer = await proxy_server.ask(GET)

    assert answer.status == 200
    assert proxy_server.addresses == [f"unix:{name}"]
    assert not os.path.exists(name)


@pytest.mark.asyncio
async def test_any_host_is_served_on_a_unix_socket(start, upstream, unix_listener):
    proxy_server = await start(listen=(unix_listener,))

    answer = await proxy_server.ask(GET.replace(b"localhost", b"eu.api.ovh.com"))

    assert answer.status == 200


@pytest.mark.asyncio
async def test_an_inherited_socket_serves_and_stays_open_in_the_parent(start, upstream):
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        proxy_server = await start(listen=(Listener(InheritedAddress(inherited.fileno())),))
        _, port = inherited.getsockname()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        await proxy_server.end()
        writer.close()
        await writer.wait_closed()

        still_there = inherited.getsockname()[1]

    assert proxy_server.addresses[0].startswith("fd:")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert still_there == port


@pytest.mark.asyncio
async def test_an_inherited_descriptor_that_is_not_a_socket_is_reported(tmp_path):
    with (
        (tmp_path / "file").open("w") as file,
        pytest.raises(ListenFailed, match="the file descriptor is not a socket"),
    ):
        await opened_at(InheritedAddress(file.fileno()))
