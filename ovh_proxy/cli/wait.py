"""`ovh-proxy wait`: until a running proxy is ready."""

import json
import time
from typing import Any

import click

from ovh_proxy.cli.options import duration, listen_options, option, store_options
from ovh_proxy.cli.running_proxy import ALIVE, WAIT_S, Response, ask, find, url_option
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.settings import Address

_INTERVAL_S = 0.1


@click.command("wait")
@option(
    "--for",
    "How long to wait, such as 30s or 5m.",
    "wait",
    default="30s",
    show_default=True,
    metavar="TIME",
    callback=duration,
)
@store_options
@listen_options
@url_option
def command(url: str | None, **flags: Any) -> None:
    """Wait until a running proxy is ready; exit with 1 on timeout.

    Connects to --url; by default to the admin listener of the settings, or to their first listener.
    """
    limit_s: float = flags.pop("for")
    address, is_tls = find(url, flags)
    deadline = time.monotonic() + limit_s
    while True:
        problem = _problem(address, is_tls, max(0.1, min(WAIT_S, deadline - time.monotonic())))
        if problem is None:
            return
        if time.monotonic() + _INTERVAL_S >= deadline:
            raise CommandFailed(f"not ready after {limit_s:g} s: {problem}")
        time.sleep(_INTERVAL_S)


def _problem(address: Address, is_tls: bool, wait_s: float) -> str | None:
    """Why the proxy is not ready; None if it is."""
    try:
        response = ask(address, is_tls, "/-/readyz", wait_s)
    except CommandFailed as failure:
        return str(failure)
    return None if response.status in ALIVE else _reasons(response, address)


def _reasons(response: Response, address: Address) -> str:
    try:
        reasons = json.loads(response.body)["reasons"]
        return "; ".join(map(str, reasons))
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"the proxy at {address} responds with status {response.status}"
