"""The commands in one table."""

import importlib
import sys
from functools import cache
from typing import Any, NoReturn

import click

from ovh_proxy import __version__
from ovh_proxy.cli.imports import loading
from ovh_proxy.cli.terminal import complain, is_unwritable, write_nowhere
from ovh_proxy.core.errors import OvhProxyError

# Name: the module that is imported when the command is used, and its line in the list.
COMMANDS = {
    "run": ("run", "Serve: unsigned requests in, signed ones out."),
    "demo": ("demo", "Show it at work on made-up keys; needs no account."),
    "sandbox": ("sandbox", "Serve a small OVHcloud API to test tools against."),
    "check": ("check", "Tell whether every profile works."),
    "sign": ("sign", "Print the signed headers of one call."),
    "healthcheck": ("healthcheck", "Exit with 0 when a running proxy is alive."),
    "completion": ("completion", "Print the completion script of a shell."),
    "token": ("token", "Make a client token and its entry in the settings."),
    "rules": ("rules", "Print the access rules that cover what went through."),
    "wait": ("wait", "Wait until a running proxy is ready."),
    "exec": ("exec", "Run a command with a private proxy, and none of your keys."),
    "env": ("env", "Print the variables that point a shell at a running proxy."),
    "login": ("login", "Ask for a consumer key, and wait until it is validated."),
    "logout": ("logout", "Revoke the consumer key, and forget it."),
    "import": ("import_sdk", "Bring ovh.conf and OVH_* into the credential store."),
    "ca": ("ca", "Show the certificate authority of `tls: auto`, and hand it out."),
}


class _Commands(click.Group):
    """Imports a command's module when it is used, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        return _command_of(module)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@cache
def _command_of(module: str) -> click.Command:
    with loading():
        command: click.Command = importlib.import_module(f"ovh_proxy.cli.{module}").command
    return command


_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.command(cls=_Commands, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="ovh-proxy")
def cli() -> None:
    """A local proxy that signs requests to the OVHcloud API.

    Start with: ovh-proxy demo
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs a command and exits with the code of the contract: 0, 1, 2, 130 or 143."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no accents shows \xe9 for é rather than a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run(arguments))


def _run(arguments: list[str] | None) -> Any:
    try:
        return cli.main(args=arguments, prog_name="ovh-proxy", standalone_mode=False) or 0
    except OvhProxyError as error:
        complain(str(error))
        return error.exit_code
    except OSError as failure:
        if not is_unwritable(failure):
            raise
        write_nowhere()
        complain(f"the output cannot be written: {failure.strerror}")
        return 1
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        used = error.ctx.command_path if error.ctx else "ovh-proxy"
        complain(f"{error.format_message().rstrip('.')}; see {used} --help")
        return error.exit_code
    except click.Abort:
        complain("interrupted")
        return 130
