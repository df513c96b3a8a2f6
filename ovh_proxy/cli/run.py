"""`ovh-proxy run`: serves."""

import asyncio
import os
import signal
from dataclasses import replace
from typing import Any

import click

from ovh_proxy.cli.options import listen_options, option, store_options
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.settings import DEFAULT_LISTENERS, InheritedAddress, Listener, Settings
from ovh_proxy.store.live import Sources
from ovh_proxy.store.recording_file import Recording, open_recording
from ovh_proxy.store.schema_files import SchemaFiles
from ovh_proxy.store.watch import Watch

_CUT_SHORT: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}


@click.command("run")
@store_options
@listen_options
@option(
    "--drain-delay",
    "Seconds after SIGTERM in which new connections are still served.",
    type=click.FloatRange(min=0),
)
@option("--workers", "Processes that serve.", type=click.IntRange(min=1))
@option(
    "--record-rules",
    "Note in FILE, for `ovh-proxy rules`, which kinds of calls went through.",
    metavar="FILE",
)
@option(
    "--schema",
    "Directory with the API's schema (me.json, …) for --record-rules; else it is fetched.",
    metavar="DIR",
)
def command(record_rules: str | None, schema: str | None, **flags: Any) -> int:
    """Serve: unsigned requests in, signed ones out, answers streamed back.

    Prints one line for each listener once it accepts, and a log line a request on stderr.
    SIGTERM and Ctrl-C let the requests in flight end; a second one does not.
    """
    require_c_parser()
    from ovh_proxy.server.memory import close_memory

    close_memory()
    watch = Watch(Sources(**flags))
    first = watch.first()
    require_built(first)
    return asyncio.run(_serve(watch, first, _recording(record_rules, schema)))


def require_c_parser() -> None:
    """Raises where aiohttp would parse in Python: other rules, and a fraction of the speed.

    Raises:
        UsageError: it says what to do.
    """
    if os.environ.get("AIOHTTP_NO_EXTENSIONS"):
        raise UsageError("unset AIOHTTP_NO_EXTENSIONS: only aiohttp's C parser is strict enough")
    from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

    if HttpRequestParser is HttpRequestParserPy:  # pragma: no cover - every wheel has it
        raise UsageError("aiohttp has no C parser here; reinstall it from a wheel")


def require_built(settings: Settings) -> None:
    """Raises for what the settings may ask for and this version does not do: never silently.

    Raises:
        UsageError: it says what to do.
    """
    asked = {
        "workers": settings.workers != 1,
        "upstream.proxy": settings.upstream.proxy is not None,
        "log.audit": settings.log.audit is not None,
    }
    missing = [name for name, is_asked in asked.items() if is_asked]
    if missing:
        raise UsageError(f"this version does not have {', '.join(missing)} yet; leave it out")


def with_handed_over(settings: Settings) -> Settings:
    """The settings with the sockets of a systemd socket unit, where they name no others."""
    from ovh_proxy.server.systemd import take_descriptors

    descriptors = take_descriptors(os.environ, os.getpid())
    if not descriptors or settings.listen != DEFAULT_LISTENERS:
        return settings
    return replace(settings, listen=tuple(Listener(InheritedAddress(n)) for n in descriptors))


def _recording(path: str | None, schema: str | None) -> Recording | None:
    if path is None:
        return None
    return open_recording(path, None if schema is None else SchemaFiles(schema))


async def _serve(watch: Watch, first: Settings, recording: Recording | None) -> int:
    # Imported here, so that a broken configuration is told before the server's imports are paid.
    from ovh_proxy.server.background import Renewal
    from ovh_proxy.server.logs import Log
    from ovh_proxy.server.serve import Stop, handle_signals, serve
    from ovh_proxy.server.systemd import Notifier

    settings = with_handed_over(first)
    stop, renewal = Stop(), Renewal(watch, first)
    handle_signals(stop, renewal)
    log = Log(settings.log.level, settings.log.format)
    notifier = Notifier(os.environ)
    clean = await serve(settings, log, announce, stop, recording, notifier, renewal)
    return exit_code(clean, stop.signal)


def exit_code(clean: bool, number: int | None) -> int:
    """What serving ends with.

    Args:
        clean: whether every request in flight ended by itself.
        number: of the signal that asked for the stop.
    """
    return 0 if clean else _CUT_SHORT.get(number or signal.SIGTERM, 1)


def announce(line: str) -> None:
    """One line on stdout at once, for whoever waits for it."""
    click.echo(line)
