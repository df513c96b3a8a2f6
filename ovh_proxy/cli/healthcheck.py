"""`ovh-proxy healthcheck`: exit code only, for images without a shell."""

from typing import Any

import click

from ovh_proxy.cli.options import listen_options, store_options
from ovh_proxy.cli.running_proxy import ALIVE, ask, find, url_option
from ovh_proxy.core.errors import CommandFailed


@click.command("healthcheck")
@store_options
@listen_options
@url_option
def command(url: str | None, **flags: Any) -> None:
    """Exit with 0 if a running proxy is alive, and with 1 otherwise.

    Connects to --url; by default to the admin listener of the settings, or to their first listener.
    """
    address, is_tls = find(url, flags)
    status = ask(address, is_tls, "/-/healthz").status
    if status not in ALIVE:
        raise CommandFailed(f"the proxy at {address} responds with status {status}")
