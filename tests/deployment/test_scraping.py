"""A real Prometheus scrapes a real proxy: queries have data and rules are evaluated."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from support.command import running, write_store
from support.dashboard import QUERIES, filled_in
from support.prometheus import Prometheus, running_prometheus
from support.tools import tool

from ovh_proxy.sandbox import grants
from ovh_proxy.sandbox.api import Sandbox

ALERTS = Path(__file__).parents[2] / "config" / "prometheus" / "alerts.yaml"
LIMIT_S = 45.0
# A rate's window covers several scrapes with calls between them.
EVERY, WINDOW = "200ms", "2s"

# Method, target and headers of calls with every outcome that can be provoked.
CALLS = (
    ("GET", "/me", {}),
    ("POST", "/me", {}),
    ("GET", "/@robot/me", {}),
    ("GET", "/me", {"X-Sandbox-Fault": "status=503"}),
    ("GET", "/me", {"X-Sandbox-Fault": "cut=head"}),
    ("GET", "/@nobody/me", {}),
    ("GET", "/me", {"Host": "elsewhere.example"}),
    ("GET", "/-/version", {}),
)


@dataclass(frozen=True, slots=True)
class Scraped:
    """A proxy with an admin listener."""

    url: str
    admin: str

    async def call(self) -> None:
        """Makes all the calls once."""
        async with aiohttp.ClientSession(self.url) as session:
            for method, target, headers in CALLS:
                async with session.request(method, target, headers=headers) as answer:
                    await answer.read()

    async def metrics(self) -> bytes:
        async with aiohttp.ClientSession(self.admin) as session, session.get("/-/metrics") as page:
            return await page.read()


@pytest_asyncio.fixture
async def proxy(tmp_path) -> AsyncIterator[Scraped]:
    """A running proxy with a key that expires."""
    async with Sandbox() as sandbox:
        sandbox.grants.expire_at(grants.CONSUMER_KEY, 4_102_444_800.0)
        flags = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
        store = write_store(tmp_path, sandbox)
        async with running(tmp_path, "run", "--credentials", store, *flags) as started:
            assert started.process.stdout is not None
            admin = (await started.process.stdout.readline()).decode().split()[-1]
            yield Scraped(started.url, admin)


@pytest_asyncio.fixture
async def prometheus(proxy, tmp_path) -> AsyncIterator[Prometheus]:
    """A Prometheus with the alert rules that scrapes the proxy often."""
    job = {
        "job_name": "ovh-proxy",
        "metrics_path": "/-/metrics",
        "static_configs": [{"targets": [proxy.admin.removeprefix("http://")]}],
    }
    config = {
        "global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [job],
    }
    async with running_prometheus(tmp_path, config) as started:
        yield started


@pytest.mark.asyncio
async def test_every_query_of_the_dashboard_has_data(proxy, prometheus):
    without_data = [*QUERIES]

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LIMIT_S):
            while without_data:
                await proxy.call()
                for title, query in [*without_data]:
                    if await prometheus.values(filled_in(query, WINDOW)):
                        without_data.remove((title, query))

    assert without_data == []


@pytest.mark.asyncio
async def test_every_alert_is_evaluated_and_none_is_out_of_order(proxy, prometheus):
    rules = []

    async with asyncio.timeout(LIMIT_S):
        while not rules or any(rule["health"] == "unknown" for rule in rules):
            await proxy.call()
            (group,) = (await prometheus.ask("rules"))["groups"]
            rules = group["rules"]

    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}


@pytest.mark.asyncio
async def test_metric_names_follow_prometheus_conventions(proxy):
    promtool = tool("promtool")
    await proxy.call()
    page = await proxy.metrics()

    result = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=page, capture_output=True, check=False
    )

    assert (result.returncode, result.stdout + result.stderr) == (0, b"")
