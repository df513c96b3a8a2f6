"""A proxy in the test's event loop."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.settings import Settings
from ovh_proxy.server.serve import ShutdownRequest


@dataclass(slots=True)
class RunningProxy:
    """A running proxy.

    Attributes:
        url: its URL, without a trailing slash.
        log: its log, as JSON lines.
    """

    url: str
    log: io.StringIO
    stop: ShutdownRequest
    served: asyncio.Task[bool]


StartProxy = Callable[[Settings], Awaitable[RunningProxy]]


def with_rules(settings: Settings, *rules: str) -> Settings:
    """Returns the settings with these access rules for the default profile."""
    granted: list[AccessRule] = [rule for text in rules for rule in parse_access_rule(text)]
    profile = replace(settings.store.profiles["personal"], access_rules=tuple(granted))
    profiles = MappingProxyType({**settings.store.profiles, "personal": profile})
    return replace(settings, store=replace(settings.store, profiles=profiles))


async def outside(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Runs a blocking call in a thread."""
    return await asyncio.to_thread(call, *arguments, **options)
