"""Requests while the store is replaced, broken, repaired and swapped by a link."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from ovh_proxy.config.live import SettingsWatcher
from ovh_proxy.config.sources import Sources
from ovh_proxy.logs import Log
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.grants import Application
from ovh_proxy.server.reload import ReloadTrigger
from ovh_proxy.server.serve import Announcement, ShutdownRequest, serve

pytestmark = pytest.mark.asyncio

BOUND_S = 20.0
NAMES = ("one", "two")
ACCEPTED, REFUSED, REPAIRED = (
    "configuration reloaded",
    "reload failed, keeping the previous configuration",
    "configuration is valid again",
)


class Records:
    """A log stream whose records can be awaited."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._written = asyncio.Event()

    def write(self, text: str) -> int:
        self.lines.append(json.loads(text))
        self._written.set()
        return len(text)

    def flush(self) -> None:
        """Does nothing: there is no buffer."""

    def isatty(self) -> bool:
        return False

    def count(self, message: str) -> int:
        return sum(line["message"].startswith(message) for line in self.lines)

    async def until(self, message: str, count: int) -> None:
        async with asyncio.timeout(BOUND_S):
            while self.count(message) < count:
                self._written.clear()
                await self._written.wait()


@dataclass
class Reloading:
    """A proxy that polls its files every few milliseconds."""

    url: str
    records: Records
    reload_trigger: ReloadTrigger
    session: aiohttp.ClientSession
    statuses: list[int] = field(default_factory=list)

    async def own(self, route: str) -> tuple[int, str]:
        async with self.session.get(f"{self.url}/-/{route}") as response:
            return response.status, await response.text()


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """OVHcloud's API, with one application for each of the two stores."""
    async with Sandbox() as running:
        for name in NAMES:
            running.grants.add_application(Application(f"Key{name}", f"Secret{name}"))
            running.grants.add_consumer_key(f"Consumer{name}", application_key=f"Key{name}")
        yield running


@pytest.fixture
def stores(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A volume as Kubernetes mounts it: `..data` links to one of two stores."""
    for name in NAMES:
        folder = tmp_path / name
        folder.mkdir()
        for key in ("application_key", "application_secret", "consumer_key"):
            written = {"application_key": "Key", "application_secret": "Secret"}.get(
                key, "Consumer"
            )
            private(folder / key, f"{written}{name}\n")
        private(
            folder / "credentials.yaml",
            f"""\
profiles:
  a:
    endpoint: {sandbox.base_url}
    application_key: {{file: application_key}}
    application_secret: {{file: application_secret}}
    consumer_key: {{file: consumer_key}}
""",
        )
    (tmp_path / "..data").symlink_to(NAMES[0])
    return tmp_path


def private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def swap(stores: Path, name: str) -> None:
    (stores / "new").symlink_to(name)
    os.replace(stores / "new", stores / "..data")


@asynccontextmanager
async def reloading(stores: Path) -> AsyncIterator[Reloading]:
    stop, records = ShutdownRequest(), Records()
    sources = Sources(
        credentials=str(stores / "..data" / "credentials.yaml"),
        environ={},
        home=stores / "home",
        etc=stores / "etc",
        listen=("127.0.0.1:0",),
    )
    watch = SettingsWatcher(sources, pause=lambda _: None)
    first = await asyncio.to_thread(watch.load)
    reload_trigger = ReloadTrigger(watch, first, poll_s=0.005)
    listening: asyncio.Future[Announcement] = asyncio.get_running_loop().create_future()
    log = Log("info", "json", records)  # type: ignore[arg-type] # implements what Log needs
    served = asyncio.ensure_future(
        serve(first, log, listening.set_result, stop, reload_trigger=reload_trigger)
    )
    async with asyncio.timeout(BOUND_S):
        url = (await listening).url
    try:
        async with aiohttp.ClientSession() as session:
            yield Reloading(url, records, reload_trigger, session)
    finally:
        stop()
        await served


@asynccontextmanager
async def requests_running(proxy: Reloading, callers: int = 4) -> AsyncIterator[None]:
    """Runs clients that send requests until the end of the block."""
    is_over = False

    async def call() -> None:
        while not is_over:
            async with proxy.session.get(f"{proxy.url}/me") as response:
                await response.read()
                proxy.statuses.append(response.status)

    calling = [asyncio.ensure_future(call()) for _ in range(callers)]
    try:
        yield
    finally:
        is_over = True
        await asyncio.gather(*calling)


async def test_no_request_is_lost_or_signed_with_mixed_credentials_while_stores_are_swapped(
    stores: Path, sandbox: Sandbox
) -> None:
    async with reloading(stores) as proxy, requests_running(proxy):
        for number in range(1, 51):
            swap(stores, NAMES[number % 2])
            await proxy.records.until(ACCEPTED, number)

    verdicts = {request.verdict for request in sandbox.requests}
    assert set(proxy.statuses) == {200}
    assert len(proxy.statuses) > 50
    assert verdicts - {"unsigned"} == {"signed by Keyone", "signed by Keytwo"}


async def test_a_broken_store_changes_nothing_until_it_is_repaired(
    stores: Path, sandbox: Sandbox
) -> None:
    store = stores / "one" / "credentials.yaml"
    good = store.read_text()
    async with reloading(stores) as proxy, requests_running(proxy):
        private(store, good + "nonsense: 1\n")
        await proxy.records.until(REFUSED, 1)
        status, body = await proxy.own("readyz")
        _, broken_metrics = await proxy.own("metrics")
        private(store, good)
        await proxy.records.until(REPAIRED, 1)
        repaired = await proxy.own("readyz")
        _, repaired_metrics = await proxy.own("metrics")

    readiness = json.loads(body)
    (record,) = (line for line in proxy.records.lines if line["message"].startswith(REFUSED))
    assert set(proxy.statuses) == {200}
    assert (status, readiness["status"], readiness["reload"]) == (200, "ready", "failed")
    assert "credentials.yaml:7: nonsense: unknown key" in readiness["problems"][0]
    assert (record["line"], record["path"]) == (7, "nonsense")
    assert "ovh_proxy_config_last_reload_successful 0.0" in broken_metrics
    assert repaired == (200, '{"status":"ready"}\n')
    assert "ovh_proxy_config_last_reload_successful 1.0" in repaired_metrics


async def test_a_problem_is_logged_once(stores: Path) -> None:
    store = stores / "one" / "credentials.yaml"
    good = store.read_text()
    async with reloading(stores) as proxy:
        private(store, good + "nonsense: 1\n")
        await proxy.records.until(REFUSED, 1)
        private(store, good + "nonsense: 1\nmore: 2\n")
        await proxy.records.until(REFUSED, 2)

    paths = [line["path"] for line in proxy.records.lines if line["message"].startswith(REFUSED)]
    assert paths == ["nonsense", "more"]


async def test_a_consumer_key_stored_by_login_is_used_at_once(
    stores: Path, sandbox: Sandbox
) -> None:
    store = stores / "one" / "credentials.yaml"
    good = store.read_text()
    private(store, good.replace("    consumer_key: {file: consumer_key}\n", ""))
    async with reloading(stores) as proxy, aiohttp.ClientSession(proxy.url) as session:
        before = (await session.get("/me")).headers["X-Ovh-Proxy-Error"]
        private(store, good)
        await proxy.records.until(ACCEPTED, 1)
        after = (await session.get("/me")).status

    assert (before, after) == ("NO_CREDENTIAL", 200)
    assert sandbox.requests[-1].verdict == "signed by Keyone"


async def test_an_unchanged_endpoint_keeps_its_clock(stores: Path, sandbox: Sandbox) -> None:
    async with reloading(stores) as proxy, aiohttp.ClientSession(proxy.url) as session:
        await session.get("/me")
        swap(stores, "two")
        await proxy.records.until(ACCEPTED, 1)
        await session.get("/me")

    targets = [request.target for request in sandbox.requests]
    assert targets.count(b"/1.0/auth/time") == 1
    assert sandbox.requests[-1].verdict == "signed by Keytwo"


async def test_a_request_in_flight_keeps_the_store_it_started_with(
    stores: Path, sandbox: Sandbox
) -> None:
    half_sent, go_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        half_sent.set()
        await go_on.wait()
        yield b"x"

    async with reloading(stores) as proxy, aiohttp.ClientSession(proxy.url) as session:
        posting = asyncio.ensure_future(session.post("/sandbox/echo", data=body()))
        await half_sent.wait()
        await session.get("/me")  # the head of the first request has been read by now
        swap(stores, "two")
        await proxy.records.until(ACCEPTED, 1)
        go_on.set()
        response = await posting

    (posted,) = (request for request in sandbox.requests if request.method == "POST")
    assert response.status == 200
    assert posted.verdict == "signed by Keyone"


async def test_the_state_of_a_key_is_fetched_and_shown(stores: Path, sandbox: Sandbox) -> None:
    sandbox.grants.expire_at("Consumerone", 2_000_000_000.0)

    async with reloading(stores) as proxy, asyncio.timeout(BOUND_S):
        credential = {"state": "unknown"}
        while credential["state"] == "unknown":
            _, body = await proxy.own("profiles")
            credential = json.loads(body)["profiles"][0]["credential"]
        _, metrics = await proxy.own("metrics")

    assert credential == {
        "kind": "application keys",
        "state": "valid",
        "expires": "2033-05-18T03:33:20+00:00",
    }
    labels = 'kind="application keys",profile="a",state='
    assert f'ovh_proxy_credential_state{{{labels}"valid"}} 1.0' in metrics
    assert f'ovh_proxy_credential_state{{{labels}"unknown"}} 0.0' in metrics
    assert 'ovh_proxy_credential_expires_timestamp_seconds{profile="a"} 2e+09' in metrics


async def test_a_repeated_request_is_checked_against_the_current_rules(
    stores: Path, sandbox: Sandbox
) -> None:
    store = stores / "one" / "credentials.yaml"
    good = store.read_text()
    async with reloading(stores) as proxy:
        host, _, port = proxy.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        async def say_it() -> bytes:
            writer.write(b"GET /me HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            return head

        before = [await say_it(), await say_it()]
        private(store, good + "    access_rules: [GET /domain]\n")
        await proxy.records.until(ACCEPTED, 1)
        before_count = len(sandbox.requests)
        after = [await say_it(), await say_it()]
        writer.close()

    assert [head.split(b" ")[1] for head in before] == [b"200", b"200"]
    assert [b"X-Ovh-Proxy-Error: ACCESS_DENIED" in head for head in after] == [True, True]
    assert all(request.target != b"/1.0/me" for request in sandbox.requests[before_count:])
