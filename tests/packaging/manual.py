"""The manual page as roff text, generated from the help of the commands."""

import inspect
import re
from collections import Counter

import click

from ovh_proxy.cli.main import cli

# A flag that at least this many commands share is explained once, in "SHARED OPTIONS".
SHARED = 3
# Names that must not be hyphenated.
_NAMES = re.compile(r"OVHcloud|[A-Z]+(_[A-Z]+)+")

HEAD = """\
.\\" Generated from the program's help by `make share`; do not edit.
.TH OVH\\-PROXY 1 "" "ovh\\-proxy" "User Commands"
.ad l
.SH NAME
ovh\\-proxy \\- sign requests to the OVHcloud API
.SH SYNOPSIS
.B ovh\\-proxy
.I COMMAND
.RI [ ARGUMENT ]...
.SH DESCRIPTION
Accepts unsigned requests from curl, scripts and SDKs on this machine, signs them with the keys of
a credential store, sends them to the \\%OVHcloud API and streams the responses back.
Keys, tokens and bodies are never logged.
.PP
To try it with sandbox keys, without an account and without any files:
.BR "ovh\\-proxy demo" .
"""

TAIL = """\
.SH FILES
For each kind, the first file that exists is used.
.TP
.I $OVH_PROXY_CREDENTIALS, $XDG_CONFIG_HOME/ovh\\-proxy/credentials.yaml, \
/etc/ovh\\-proxy/credentials.yaml
The credential store, which only its owner may read.
Without a store, the OVH_* variables and ovh.conf of the official SDKs are used.
.TP
.I $OVH_PROXY_CONFIG, $XDG_CONFIG_HOME/ovh\\-proxy/ovh\\-proxy.yaml, \
/etc/ovh\\-proxy/ovh\\-proxy.yaml
The server settings, which are not needed to serve one user on one machine.
.SH ENVIRONMENT
The description of a flag names its variable, if there is one.
A flag overrides its variable, which overrides the settings.
.SH EXIT STATUS
.TP
.B 0
Success, including a clean shutdown.
.TP
.B 1
Failure.
.TP
.B 2
Wrong usage, or a file with errors.
.TP
.B 130
A waiting command was interrupted.
.TP
.B 143
Requests were aborted after SIGTERM.
.SH SIGNALS
.TP
.B SIGHUP
.B run
reloads the store and the settings.
.TP
.BR SIGTERM ", " SIGINT
.B run
finishes the requests in flight and stops.
A second signal stops immediately.
.SH EXAMPLES
.EX
ovh\\-proxy login \\-\\-read\\-only /me
ovh\\-proxy run
curl http://127.0.0.1:8080/me
.EE
"""


def page() -> str:
    """The whole page, `ovh-proxy.1`."""
    context = click.Context(cli, info_name="ovh-proxy")
    commands = [(name, cli.get_command(context, name)) for name in cli.list_commands(context)]
    known = [
        (name, command, _options(command, click.Context(command, context, info_name=name)))
        for name, command in commands
        if command is not None
    ]
    count = Counter(record for _, _, options in known for record in options)
    shared = [record for record in count if count[record] >= SHARED]
    parts = [HEAD, ".SH COMMANDS\n"]
    for name, command, options in known:
        usage = command.collect_usage_pieces(click.Context(command, context, info_name=name))
        own = [record for record in options if record not in shared]
        more = [_flag(record) for record in options if record in shared]
        parts += [_command(name, usage, command.help or ""), *map(_option, own), _also(more)]
    parts += [".SH SHARED OPTIONS\n", *map(_option, shared), TAIL]
    return "".join(parts)


def _options(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    records = (
        parameter.get_help_record(context)
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
    )
    return [record for record in records if record and "--help" not in record[0]]


def _command(name: str, usage: list[str], text: str) -> str:
    written = " ".join(["ovh-proxy", name, *usage])
    lines = [f".SS {_escaped(name)}", f".B {_escaped(written)}"]
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        # Click's marker for a paragraph that must not be rewrapped.
        kept = paragraph.startswith("\b")
        body = [_line(line) for line in paragraph.removeprefix("\b\n").splitlines()]
        lines += [".PP", *([".EX", *body, ".EE"] if kept else body)]
    return "\n".join(lines) + "\n"


def _option(record: tuple[str, str]) -> str:
    spelling, text = record
    flag, _, value = spelling.partition(" ")
    shown = f"\\fB{_escaped(flag)}\\fR" + (f" \\fI{_escaped(value)}\\fR" if value else "")
    return f".TP\n{shown}\n{_line(text)}\n"


def _flag(record: tuple[str, str]) -> str:
    return f"\\fB{_escaped(record[0].split()[0])}\\fR"


def _also(flags: list[str]) -> str:
    return f".PP\nShared options: {', '.join(flags)}.\n" if flags else ""


def _line(text: str) -> str:
    """A line of text. A leading dot or quote is escaped, because it has a meaning in roff."""
    escaped = _escaped(text)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _escaped(text: str) -> str:
    plain = (
        text.replace("\\", "\\e")
        .replace("-", "\\-")
        .replace("…", "\\[u2026]")
        .replace("'", "\\(aq")
    )
    return _NAMES.sub(r"\\%\g<0>", plain)
