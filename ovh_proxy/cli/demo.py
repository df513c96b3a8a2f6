"""`ovh-proxy demo`: shows the proxy at work on made-up keys."""

import asyncio

import click

from ovh_proxy.cli.aiohttp_import import require_c_parser
from ovh_proxy.cli.options import option
from ovh_proxy.config.listener_fields import is_exposed, parse_tcp
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.settings import TcpAddress

_DEFAULT = TcpAddress("127.0.0.1", 8080)


@click.command("demo")
@option("--once", "End after the showing.", "demo", is_flag=True)
@option(
    "--listen",
    "Where the proxy listens; 127.0.0.1:8080 by default, or a free port where that is taken.",
    "demo",
    metavar="HOST:PORT",
)
def command(once: bool, listen: str | None) -> int:
    """Show one request before and after its signature, then serve until Ctrl-C.

    Needs no account and no file: the keys are made up, and the API is a sandbox in this process
    that verifies every signature.
    """
    require_c_parser()
    address = None if listen is None else _checked_address(listen)
    # Imported here, so that a wrong flag is told before the server's imports are paid.
    from ovh_proxy.cli.stage import Listen, show_and_serve
    from ovh_proxy.cli.terminal import console
    from ovh_proxy.sandbox.api import Sandbox

    where = Listen(address or _DEFAULT, may_move=address is None)
    return asyncio.run(show_and_serve(Sandbox(), where, once, console()))


def _checked_address(text: str) -> TcpAddress:
    try:
        address = parse_tcp(text)
    except ValueError as failure:
        raise UsageError(f"--listen {text}: {failure}") from failure
    if is_exposed(address):
        raise UsageError(f"--listen {text}: the demonstration is for this machine alone")
    return address
