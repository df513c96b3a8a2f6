"""What goes on beside the requests: the clock is learned, certificates are read again."""

import asyncio

from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.server.app import App
from ovh_proxy.server.listeners import OpenListener

_CLOCK_AGAIN_S = 5.0
# A changed file is in use within two seconds of its change.
_LOOK_S = 1.0


async def learn_clock(app: App) -> None:
    """Asks for the clock of the default profile at start, until it is known."""
    profile = app.live.current.store.default_profile
    if profile is None:
        return
    clock = app.clocks.of(profile.endpoint)
    while not clock.is_known:
        try:
            await clock.timestamp()
        except OvhProxyError as failure:
            app.log.write(
                "warning",
                "the clock is not known yet",
                endpoint=profile.endpoint.name,
                error=failure.code,
            )
            await asyncio.sleep(_CLOCK_AGAIN_S)


async def keep_certificates(app: App, opened: list[OpenListener]) -> None:
    """Loads the certificates of TLS listeners again whenever their files change."""
    watched = [listener for listener in opened if listener.certificates is not None]
    while watched:
        await asyncio.sleep(_LOOK_S)
        for listener in watched:
            await listener.renew_if_changed(app.log)
