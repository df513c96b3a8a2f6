"""Background tasks: clock, credential states, certificates, connections kept warm."""

import asyncio
from collections.abc import Callable

from ovh_proxy.auth.clock import steady_time
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.listeners.listener import OpenListener
from ovh_proxy.server.app import App
from ovh_proxy.server.systemd import SystemdNotifier

# A client that called within the last half hour may call again at any moment. After that the proxy
# opens no connections, so that one left running overnight costs OVHcloud nothing.
WARM_S = 1800.0
# Minimum seconds between two attempts when OVHcloud closes the connection; doubled after each
# failure, up to the maximum.
RETRY_S = 10.0
MAX_RETRY_S = 600.0
_POLL_S = 1.0
# A steady clock this far ahead of the event loop's means that the machine was suspended.
_SUSPENDED_S = 5.0


class WarmupSchedule:
    """Decides when to open a connection to one endpoint in advance.

    Args:
        now: seconds by the clock of the event loop, here and below.
    """

    def __init__(self, now: float) -> None:
        self._calls = 0
        self._used_at = self._due_at = now
        self._wait_s = RETRY_S

    def is_due(self, calls: int, now: float) -> bool:
        """Whether to open a connection now, if there is none.

        Args:
            calls: how many calls clients have made so far.
        """
        if calls != self._calls:
            self._calls, self._used_at = calls, now
        return self._due_at <= now < self._used_at + WARM_S

    def record(self, is_open: bool, now: float) -> None:
        """Records whether an attempt succeeded."""
        self._wait_s = RETRY_S if is_open else min(self._wait_s * 2.0, MAX_RETRY_S)
        self._due_at = now + self._wait_s


async def keep_connections_warm(
    app: App, poll_s: float = _POLL_S, steady: Callable[[], float] = steady_time
) -> None:
    """Opens connections at start, after a reload, and when the last one has closed.

    Args:
        steady: a clock that keeps running while the machine is suspended.
    """
    loop = asyncio.get_running_loop()
    settings, schedules = None, dict[Endpoint, WarmupSchedule]()
    ahead = steady() - loop.time()
    while not app.server_state.is_stopping:
        now = loop.time()
        if app.live.current is not settings:
            settings = app.live.current
            schedules = {
                one.endpoint: WarmupSchedule(now) for one in settings.store.profiles.values()
            }
        if steady() - now > ahead + _SUSPENDED_S:
            # The machine was suspended: routers on the path may have forgotten the connections.
            app.client.pool.drop_idle()
        ahead = steady() - now
        await asyncio.gather(
            *(
                _warm(app, endpoint, schedule)
                for endpoint, schedule in schedules.items()
                if schedule.is_due(_calls(app, endpoint), now)
                and not app.client.pool.is_warm(endpoint.base_url)
            )
        )
        await asyncio.sleep(poll_s)


def _calls(app: App, endpoint: Endpoint) -> int:
    profiles = app.live.current.store.profiles.values()
    return sum(app.metrics.calls(one.name) for one in profiles if one.endpoint == endpoint)


async def _warm(app: App, endpoint: Endpoint, schedule: WarmupSchedule) -> None:
    is_open = False
    try:
        await app.client.clocks.of(endpoint).timestamp()
        await app.client.pool.warm(endpoint.base_url)
        is_open = True
    except OvhProxyError as failure:
        app.log.write(
            "debug",
            "cannot open a connection in advance",
            endpoint=endpoint.name,
            error=failure.code,
        )
    schedule.record(is_open, asyncio.get_running_loop().time())


_CLOCK_RETRY_S = 5.0
# A changed file takes effect within two seconds.
FILE_POLL_S = 1.0
_CREDENTIAL_POLL_S = 5.0


async def learn_clock(app: App) -> None:
    """Fetches the clock of the default profile, until it is known."""
    while True:
        profile = app.live.current.store.default_profile
        if profile is None or app.client.clocks.of(profile.endpoint).is_known:
            return
        try:
            await app.client.clocks.of(profile.endpoint).timestamp()
        except OvhProxyError as failure:
            app.log.write(
                "warning",
                "cannot get the time from OVHcloud, retrying",
                endpoint=profile.endpoint.name,
                error=failure.code,
            )
            await asyncio.sleep(_CLOCK_RETRY_S)


async def feed_watchdog(notifier: SystemdNotifier) -> None:
    """Tells systemd that the event loop runs, so that it restarts a process that hangs."""
    while notifier.watchdog_s is not None:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog_s)


async def poll_credential_states(app: App) -> None:
    """Fetches the state of consumer keys: at start, hourly, and after a rejected call."""
    while True:
        profiles = app.live.current.store.profiles.values()
        # One at a time: another process may publish the next state in the meantime.
        while due := app.client.states.due(profiles):
            await app.credential_poller.poll(due[0])
        await asyncio.sleep(_CREDENTIAL_POLL_S)


async def watch_certificates(app: App, opened: list[OpenListener]) -> None:
    """Reloads the certificates of TLS listeners when their files change."""
    tls_listeners = [listener for listener in opened if listener.certificates is not None]
    while tls_listeners or app.interception is not None:
        await asyncio.sleep(FILE_POLL_S)
        if app.interception is not None:
            app.interception.reload_if_changed(app.log)
        for listener in tls_listeners:
            await listener.renew_if_changed(app.log)
