"""The manual page, as roff text, from what the commands say of themselves."""

import inspect
import re
from collections import Counter

import click

from ovh_proxy.cli.main import cli

# A flag of so many commands is explained once, below "SHARED OPTIONS".
SHARED = 3
# Names, which are not to be hyphenated.
_NAMES = re.compile(r"OVHcloud|[A-Z]+(_[A-Z]+)+")

HEAD = """\
.\\" Made from the program's own help by `make share`; do not edit.
.TH OVH\\-PROXY 1 "" "ovh\\-proxy" "User Commands"
.ad l
.SH NAME
ovh\\-proxy \\- sign requests to the OVHcloud API
.SH SYNOPSIS
.B ovh\\-proxy
.I COMMAND
.RI [ ARGUMENT ]...
.SH DESCRIPTION
Takes unsigned requests from curl, scripts and SDKs on this machine, signs them with the keys of a
credential store, sends them to the \\%OVHcloud API and streams the answers back.
Keys, tokens and bodies are never logged.
.PP
To see it at work on made\\-up keys, with no account and no file:
.BR "ovh\\-proxy demo" .
"""

TAIL = """\
.SH FILES
Of each kind the first that there is.
.TP
.I $OVH_PROXY_CREDENTIALS, $XDG_CONFIG_HOME/ovh\\-proxy/credentials.yaml, \
/etc/ovh\\-proxy/credentials.yaml
The credential store, for its owner's eyes only; without one, the OVH_* variables and ovh.conf of
the official SDKs.
.TP
.I $OVH_PROXY_CONFIG, $XDG_CONFIG_HOME/ovh\\-proxy/ovh\\-proxy.yaml, \
/etc/ovh\\-proxy/ovh\\-proxy.yaml
The server settings; none are needed to serve one user on one machine.
.SH ENVIRONMENT
A variable stands at each flag that has one.
A flag wins over its variable, which wins over the settings.
.SH EXIT STATUS
.TP
.B 0
All is well; a clean stop too.
.TP
.B 1
It failed.
.TP
.B 2
Usage, or a file with problems.
.TP
.B 130
A command that waits was interrupted.
.TP
.B 143
SIGTERM cut requests short.
.SH SIGNALS
.TP
.B SIGHUP
.B run
reads store and settings again.
.TP
.BR SIGTERM ", " SIGINT
.B run
lets the requests in flight end; a second one does not.
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
        # Click's mark of a paragraph whose lines stay as they are.
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
    return f".PP\nAnd the shared {', '.join(flags)}.\n" if flags else ""


def _line(text: str) -> str:
    """A line of text; a dot or a quote that begins it would be a request of roff's."""
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
