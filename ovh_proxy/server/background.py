"""Background tasks: clock, credential states, certificates, connections kept warm."""

import asyncio
from collections.abc import Callable

from ovh_proxy.auth.clock import steady_time
from ovh_proxy.core.endpoints import Endpoint
from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.listeners.listener import OpenListener
from ovh_proxy.server.app import App

# Who has called within the last half hour is at work, and may call again at any moment; after that
# a proxy is silent, so that one left alone over night costs OVHcloud nothing.
WARM_S = 1800.0

# Connections that OVHcloud does not keep are opened no more often than this; those that it does not
# take, each time half as often.
AGAIN_S = 10.0

LONGEST_S = 600.0

_LOOK_S = 1.0

_SLEPT_S = 5.0


class WarmupSchedule:
    """When one endpoint's connection is to be opened.

    Args:
        now: seconds by the clock of the event loop, here and below.
    """

    def __init__(self, now: float) -> None:
        self._calls = 0
        self._used_at = self._due_at = now
        self._wait_s = AGAIN_S

    def is_wanted(self, calls: int, now: float) -> bool:
        """Whether one is to be opened now, if there is none.

        Args:
            calls: how many clients have made so far.
        """
        if calls != self._calls:
            self._calls, self._used_at = calls, now
        return self._due_at <= now < self._used_at + WARM_S

    def record(self, is_open: bool, now: float) -> None:
        """How the attempt to open one has ended."""
        self._wait_s = AGAIN_S if is_open else min(self._wait_s * 2.0, LONGEST_S)
        self._due_at = now + self._wait_s


async def keep_connections_warm(
    app: App, look_s: float = _LOOK_S, steady: Callable[[], float] = steady_time
) -> None:
    """Opens connections at start, after a reload, and where the last one has gone.

    Args:
        look_s: seconds between two looks.
        steady: a clock that goes on while the machine sleeps.
    """
    loop = asyncio.get_running_loop()
    settings, warmths = None, dict[Endpoint, WarmupSchedule]()
    ahead = steady() - loop.time()
    while not app.server_state.is_stopping:
        now = loop.time()
        if app.live.current is not settings:
            settings = app.live.current
            warmths = {
                one.endpoint: WarmupSchedule(now) for one in settings.store.profiles.values()
            }
        if steady() - now > ahead + _SLEPT_S:
            # The machine has slept, and on the way nobody may know its connections any more.
            app.client.pool.drop_idle()
        ahead = steady() - now
        await asyncio.gather(
            *(
                _warm(app, endpoint, schedule)
                for endpoint, schedule in warmths.items()
                if schedule.is_wanted(_calls(app, endpoint), now)
                and not app.client.pool.is_warm(endpoint.base_url)
            )
        )
        await asyncio.sleep(look_s)


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
            "debug", "no connection is kept ready", endpoint=endpoint.name, error=failure.code
        )
    schedule.record(is_open, asyncio.get_running_loop().time())


_CLOCK_AGAIN_S = 5.0


# A changed file is in use within two seconds of its change.
LOOK_S = 1.0


_STATES_S = 5.0


async def learn_clock(app: App) -> None:
    """Asks for the clock of the default profile, until it is known."""
    while True:
        profile = app.live.current.store.default_profile
        if profile is None or app.client.clocks.of(profile.endpoint).is_known:
            return
        try:
            await app.client.clocks.of(profile.endpoint).timestamp()
        except OvhProxyError as failure:
            app.log.write(
                "warning",
                "the clock is not known yet",
                endpoint=profile.endpoint.name,
                error=failure.code,
            )
            await asyncio.sleep(_CLOCK_AGAIN_S)


async def keep_states(app: App) -> None:
    """Asks what state the consumer keys are in: at start, hourly, and after a refusal."""
    while True:
        profiles = app.live.current.store.profiles.values()
        # One after the other: meanwhile another process may tell of the next.
        while due := app.client.states.due(profiles):
            await app.poller.poll(due[0])
        await asyncio.sleep(_STATES_S)


async def keep_certificates(app: App, opened: list[OpenListener]) -> None:
    """Loads the certificates of TLS listeners again whenever their files change."""
    watched = [listener for listener in opened if listener.certificates is not None]
    while watched or app.interception is not None:
        await asyncio.sleep(LOOK_S)
        if app.interception is not None:
            app.interception.reload_if_changed(app.log)
        for listener in watched:
            await listener.renew_if_changed(app.log)
