"""What goes on beside the requests: the clock is learned, changed files are read again."""

import asyncio

from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.listeners.listener import OpenListener
from ovh_proxy.server.app import App

_CLOCK_AGAIN_S = 5.0

# A changed file is in use within two seconds of its change.
LOOK_S = 1.0

_STATES_S = 5.0


async def learn_clock(app: App) -> None:
    """Asks for the clock of the default profile, until it is known."""
    while True:
        profile = app.live.current.store.default_profile
        if profile is None or app.clocks.of(profile.endpoint).is_known:
            return
        try:
            await app.clocks.of(profile.endpoint).timestamp()
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
        while due := app.states.due(profiles):
            await app.query.ask(due[0])
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
