"""`ovh-proxy wait`: until a running proxy is ready."""

import json
import time
from typing import Any

import click

from ovh_proxy.cli.options import duration, listen_options, option, store_options
from ovh_proxy.cli.running_proxy import ALIVE, WAIT_S, Answer, ask, find, url_option
from ovh_proxy.core.errors import CommandFailed
from ovh_proxy.core.settings import Address

_AGAIN_S = 0.1


@click.command("wait")
@option(
    "--for",
    "How long to wait at most: 30s, 5m.",
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
    """Wait until a running proxy is ready; exit with 1 when it is not in time.

    Asks --url, else the admin listener of the settings, else their first listener.
    """
    limit_s: float = flags.pop("for")
    address, is_tls = find(url, flags)
    deadline = time.monotonic() + limit_s
    while True:
        missing = _missing(address, is_tls, max(0.1, min(WAIT_S, deadline - time.monotonic())))
        if missing is None:
            return
        if time.monotonic() + _AGAIN_S >= deadline:
            raise CommandFailed(f"not ready after {limit_s:g} s: {missing}")
        time.sleep(_AGAIN_S)


def _missing(address: Address, is_tls: bool, wait_s: float) -> str | None:
    """What keeps it from being ready; None when nothing does."""
    try:
        answer = ask(address, is_tls, "/-/readyz", wait_s)
    except CommandFailed as failure:
        return str(failure)
    return None if answer.status in ALIVE else _reasons(answer, address)


def _reasons(answer: Answer, address: Address) -> str:
    try:
        reasons = json.loads(answer.body)["reasons"]
        return "; ".join(map(str, reasons))
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"the proxy at {address} answers {answer.status}"
