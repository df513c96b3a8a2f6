"""The commands in one table."""

import importlib
import sys
from functools import cache
from typing import Any, NoReturn

import click

from ovh_proxy import __version__
from ovh_proxy.cli.imports import loading
from ovh_proxy.cli.terminal import complain, discard_stdout, is_stdout_failure
from ovh_proxy.core.errors import OvhProxyError
from ovh_proxy.core.redaction import quoted, unknown

# Command: the module that is imported when the command runs, and its line in `--help`.
COMMANDS = {
    "run": ("run", "Run the proxy: sign requests and forward them."),
    "demo": ("demo", "Show one request being signed; needs no account."),
    "sandbox": ("sandbox", "Serve a small fake OVHcloud API for tests."),
    "check": ("check", "Check that every profile works."),
    "sign": ("sign", "Print the signed headers of one call."),
    "healthcheck": ("healthcheck", "Exit with 0 if a running proxy is alive."),
    "completion": ("completion", "Print the completion script for a shell."),
    "token": ("token", "Create a client token and its settings entry."),
    "rules": ("rules", "Print the access rules that cover recorded calls."),
    "wait": ("wait", "Wait until a running proxy is ready."),
    "exec": ("exec", "Run a command with a private proxy and without your keys."),
    "env": ("env", "Print the variables that point a shell at a running proxy."),
    "login": ("login", "Request a consumer key and wait for its validation."),
    "logout": ("logout", "Revoke the consumer key and remove it from the store."),
    "import": ("import_sdk", "Import ovh.conf and OVH_* into the credential store."),
    "ca": ("ca", "Show or export the certificate authority of `tls: auto`."),
}


class _Commands(click.Group):
    """Imports a command's module only when that command runs, so that each starts fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        return _command_of(module)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(unknown("command", args[0], COMMANDS), ctx)
        return super().resolve_command(ctx, args)

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
    """Runs a command and exits with 0, 1, 2, 130 or 143, as README.md documents."""
    for stream in (sys.stdout, sys.stderr):
        # On an ASCII terminal, é becomes \xe9 instead of a traceback.
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
        if not is_stdout_failure(failure):
            raise
        discard_stdout()
        complain(f"cannot write the output: {failure.strerror}")
        return 1
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        used = error.ctx.command_path if error.ctx else "ovh-proxy"
        message = _usage_message(error)
        complain(f"{message}{' See' if message.endswith('?') else '; see'} {used} --help")
        return error.exit_code
    except click.Abort:
        complain("interrupted")
        return 130


def _usage_message(error: click.UsageError) -> str:
    """What is wrong and in which flag, in the form of our own messages."""
    match error:
        case click.NoSuchOption(option_name=name, possibilities=near):
            return unknown("flag", name, near) if near else f"unknown flag {quoted(name)}"
        case click.BadOptionUsage(option_name=name, message=text):
            text = text.replace(f"Option '{name}' ", f"{name}: ")
        case click.MissingParameter():
            return f"missing argument {_name_of(error)}"
        case click.BadParameter(message=message):
            text = f"{_name_of(error)}: {message}"
        case _:
            text = error.format_message()
    return (text[:1].lower() + text[1:] if text[1:2].islower() else text).rstrip(".")


def _name_of(error: click.BadParameter) -> str:
    """The flag, argument or environment variable that holds the bad value."""
    param, ctx = error.param, error.ctx
    if param is None or param.name is None:
        return str(error.param_hint)
    if ctx and ctx.get_parameter_source(param.name) is click.core.ParameterSource.ENVIRONMENT:
        return str(param.envvar)
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
