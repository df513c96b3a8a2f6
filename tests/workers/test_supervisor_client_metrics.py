"""The metrics of other workers, collected over the channel."""

import asyncio

import pytest
import pytest_asyncio

from ovh_proxy.observability.counters import RequestCounters
from ovh_proxy.observability.metrics import Metrics
from ovh_proxy.workers.channel import SupervisorChannel
from ovh_proxy.workers.supervisor_client import PeerMetricsClient

pytestmark = pytest.mark.asyncio


class Counts:
    """The metrics of one worker."""

    def __init__(self, requests: int = 0) -> None:
        self.requests = requests
        self.calls = 0
        self.often = asyncio.Event()

    def __call__(self):
        self.calls += 1
        if self.calls >= 5:
            self.often.set()
        counted = [["p", "-", "GET", "2xx", "", "relayed", self.requests]]
        levels = {"ovh_proxy_workers": 1, "ovh_proxy_worker_restarts_total": 0}
        return {**RequestCounters().snapshot(), "requests": counted, "levels": levels}


@pytest_asyncio.fixture
async def join(supervisor):
    """Starts a worker with these metrics."""
    channels = []

    async def join_as(number, own):
        channel = SupervisorChannel()
        peers = PeerMetricsClient(channel, report_interval_s=0.005)
        channel.on("lost", lambda: None)
        channel.on("report_metrics", lambda: peers.report(own))
        await supervisor.join(channel, number)
        channels.append(channel)
        return peers

    yield join_as
    for channel in channels:
        channel.close()
    await asyncio.sleep(0)


def requests(snapshots):
    return sum(request[-1] for snapshot in snapshots for request in snapshot["requests"])


async def test_the_page_shows_the_current_sums_of_all_workers(join):
    own, other = Counts(1), Counts(10)
    first = await join(1, own)
    await join(2, other)
    await join(3, Counts(100))
    before = requests(await first.snapshots(own))
    other.requests += 5

    after = await first.snapshots(own)

    assert (before, requests(after)) == (110, 115)
    assert after[0]["levels"]["ovh_proxy_workers"] == 2
    assert after[0]["process"]["process_cpu_seconds_total"] > 0


async def test_the_counters_of_a_dead_worker_are_still_shown(supervisor, join):
    own = Counts(7)
    first = await join(1, own)
    second = await join(2, Counts(10))
    await first.snapshots(own)
    await supervisor.until_received("metrics", 2)

    supervisor.remove_worker(1)

    assert requests(await second.snapshots(Counts(10))) == 7


async def test_a_worker_reports_periodically_and_only_changes(supervisor, join):
    own = Counts(7)
    first = await join(1, own)
    reporting = asyncio.ensure_future(first.report_changes(own))
    await asyncio.wait_for(own.often.wait(), 5)
    reports = supervisor.received.count("metrics")
    own.requests += 1
    await supervisor.until_received("metrics", 2)

    reporting.cancel()

    assert reports == 1
    assert requests([supervisor.worker_table.workers[0].snapshot]) == 8


async def test_the_exposition_contains_the_sums(join):
    own = Counts(1)
    first = await join(1, own)
    await join(2, Counts(10))

    page = Metrics().exposition({}, await first.snapshots(own)).decode()

    assert 'outcome="relayed",profile="p",status="2xx"} 10.0' in page
    assert page.count("\nprocess_cpu_seconds_total ") == 1
