import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.command import running, write_store
from support.ended import Ask

from ovh_proxy.cli.run import announcement_line
from ovh_proxy.core.credentials import AccessToken
from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Store
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.server.serve import Announcement

pytestmark = pytest.mark.asyncio

URL = "http://127.0.0.1:8080"
PROFILES = {
    name: Profile(name, parse_endpoint("ovh-eu"), AccessToken(Secret("unseen")))
    for name in ("one", "two")
}

FREE = ("--listen", "127.0.0.1:0")


@pytest.mark.parametrize(
    ("store", "line"),
    [
        (Store(PROFILES, "two", "tests"), f"ovh-proxy: listening on {URL} (profile two, ovh-eu)"),
        (
            Store(PROFILES, None, "tests"),
            f"ovh-proxy: listening on {URL} (profiles one, two; none is the default)",
        ),
        (
            Store(PROFILES, "two", "the environment", is_fallback=True),
            f"ovh-proxy: listening on {URL} (profile two, ovh-eu; from the environment)",
        ),
        (None, f"ovh-proxy: admin listener on {URL}"),
    ],
    ids=["default", "no default", "the SDKs' configuration", "admin listener"],
)
async def test_an_announcement_is_one_line(store: Store | None, line: str) -> None:
    assert announcement_line(Announcement(URL, store)) == line


async def _get(url: str, target: str) -> bytes:
    """The whole response to a request of a client without keys."""
    async with _request(url, target) as reader:
        return await reader.read()


@asynccontextmanager
async def _request(url: str, target: str) -> AsyncIterator[asyncio.StreamReader]:
    """The response to a request, as a stream."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    try:
        async with asyncio.timeout(20):
            yield reader
    finally:
        writer.close()


async def test_the_first_line_has_the_url_and_the_profile_when_it_accepts(
    home: Path, sandbox: Sandbox
) -> None:
    store = write_store(home, sandbox)

    async with running(home, "run", *FREE, "--credentials", store) as proxy:
        response = await _get(proxy.url, "/me")

    assert re.fullmatch(
        rf"ovh-proxy: listening on http://127\.0\.0\.1:[1-9]\d+ \(profile personal, "
        rf"{re.escape(sandbox.base_url)}\)",
        proxy.line,
    )
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sandbox.requests[-1].verdict.startswith("signed by")


async def test_a_variable_sets_the_address_to_listen_on(home: Path, sandbox: Sandbox) -> None:
    store, socket_file = write_store(home, sandbox), home / "api.sock"
    env = {"OVH_PROXY_LISTEN": f"unix:{socket_file}", "OVH_PROXY_CREDENTIALS": str(store)}

    async with running(home, "run", env=env) as proxy:
        is_there = socket_file.is_socket()

    assert proxy.url == f"unix:{socket_file}"
    assert is_there


async def test_every_listener_is_announced_in_one_line(home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)
    flags = ("run", *FREE, *FREE, "--admin-listen", "127.0.0.1:0", "--credentials", store)

    async with running(home, *flags) as proxy:
        assert proxy.process.stdout is not None
        second = (await proxy.process.stdout.readline()).decode()
        admin = (await proxy.process.stdout.readline()).decode()

    assert second.startswith("ovh-proxy: listening on http://127.0.0.1:")
    assert admin.startswith("ovh-proxy: admin listener on http://127.0.0.1:")


async def test_the_error_names_a_port_that_is_in_use(
    start: Ask, home: Path, sandbox: Sandbox
) -> None:
    store = write_store(home, sandbox)

    ended = await start("run", "--listen", f"127.0.0.1:{sandbox.port}", "--credentials", store)

    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert ended.err.startswith(f"ovh-proxy: cannot listen on 127.0.0.1:{sandbox.port}: ")


def _unreadable(store: Path) -> None:
    store.chmod(0o644)


def _no_yaml(store: Path) -> None:
    store.write_text("profiles: {")


def _directory(store: Path) -> None:
    store.unlink()
    store.mkdir()


def _gone(store: Path) -> None:
    store.unlink()


def _with_secret(reference: str) -> Callable[[Path], None]:
    def arrange(store: Path) -> None:
        store.write_text(
            re.sub(
                "application_secret: .*", f"application_secret: {reference}", store.read_text()
            ).replace("runabove: *keys", "runabove: {endpoint: ovh-eu, access_token: x}")
        )

    return arrange


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (_unreadable, "chmod 600"),
        (_no_yaml, "invalid YAML"),
        (_directory, "is a directory"),
        (_gone, "does not exist"),
        (_with_secret("{file: nosuch}"), "profiles.personal.application_secret: "),
        (_with_secret("{env: NOSUCH}"), "profiles.personal.application_secret: "),
        (_with_secret("{command: ['false']}"), "profiles.personal.application_secret: "),
    ],
    ids=["loose", "no YAML", "a directory", "gone", "no file", "no variable", "failing command"],
)
async def test_an_unusable_store_is_one_line_and_exit_code_2(
    start: Ask, home: Path, sandbox: Sandbox, arrange: Callable[[Path], None], message: str
) -> None:
    store = write_store(home, sandbox)
    arrange(store)

    ended = await start("run", *FREE, "--credentials", store)

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1), ended.err
    assert ended.err.startswith(f"ovh-proxy: {store}")
    assert message in ended.err


async def test_without_a_store_the_error_names_its_default_path(start: Ask, home: Path) -> None:
    ended = await start("run", *FREE)

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert str(home / ".config/ovh-proxy/credentials.yaml") in ended.err


async def test_it_does_not_serve_without_the_c_parser(
    start: Ask, home: Path, sandbox: Sandbox
) -> None:
    store = write_store(home, sandbox)

    ended = await start("run", *FREE, "--credentials", store, AIOHTTP_NO_EXTENSIONS="1")

    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "AIOHTTP_NO_EXTENSIONS" in ended.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
async def test_a_signal_lets_a_request_in_flight_finish(
    home: Path, sandbox: Sandbox, number: signal.Signals
) -> None:
    store = write_store(home, sandbox)

    async with running(home, "run", *FREE, "--credentials", store) as proxy:
        async with _request(proxy.url, "/sandbox/slow?chunks=3&delay=0.3") as response:
            begun = await response.readuntil(b"[1\n")
            proxy.process.send_signal(number)
            rest = await response.read()
        code = await proxy.stop()

    assert begun.startswith(b"HTTP/1.1 200")
    assert (code, b",2\n" in rest, b",3]\n" in rest) == (0, True, True)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130)],
    ids=["SIGTERM", "Ctrl-C"],
)
async def test_a_second_signal_cuts_requests_short(
    home: Path, sandbox: Sandbox, number: signal.Signals, expected: int
) -> None:
    store = write_store(home, sandbox)

    async with running(
        home, "run", *FREE, "--credentials", store, stderr=asyncio.subprocess.PIPE
    ) as proxy:
        assert proxy.process.stderr is not None
        async with _request(proxy.url, "/sandbox/slow?chunks=2&delay=60") as response:
            await response.readuntil(b"[1\n")
            proxy.process.send_signal(number)
            while b"stopping" not in await asyncio.wait_for(proxy.process.stderr.readline(), 20):
                pass
            code = await proxy.stop(number)
            cut = await response.read()

    assert code == expected
    assert b",2]" not in cut


async def test_the_log_is_json_unless_stderr_is_a_terminal(home: Path, sandbox: Sandbox) -> None:
    store = write_store(home, sandbox)

    async with running(home, "run", *FREE, "--credentials", store) as proxy:
        await _get(proxy.url, "/me?secretly=hidden")

    records = [json.loads(line) for line in (home / "log").read_text().splitlines()]
    (record,) = [record for record in records if record["message"] == "request"]
    assert (record["method"], record["path"], record["status"]) == ("GET", "/me?secretly", 200)


async def test_the_module_and_the_command_are_the_same_program(start: Ask) -> None:
    beside = Path(sys.executable).with_name("ovh-proxy")
    process = await asyncio.create_subprocess_exec(
        beside, "--version", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)

    ended = await start("--version")

    assert ended.out == out.decode()
