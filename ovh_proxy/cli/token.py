"""`ovh-proxy token`: makes a client token and the `clients` entry for it."""

import hashlib
import json
import secrets
from typing import Any

import click

from ovh_proxy.cli.options import option
from ovh_proxy.cli.pasted import listed, scalar
from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.api_schema import split_version
from ovh_proxy.core.profile import NAME

_BYTES = 32


class _Name(click.ParamType):
    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if not NAME.fullmatch(text):
            self.fail("a name has letters, digits, '.', '_' and '-', 64 at most", param, ctx)
        return text


class _Rule(click.ParamType):
    name = "rule"
    # In an environment variable, one rule a line: there are spaces within a rule.
    envvar_list_splitter = "\n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = " ".join(str(value).split())
        try:
            rules = parse_access_rule(text)
        except ValueError as failure:
            self.fail(str(failure), param, ctx)
        if any(split_version(rule.pattern)[0] in ("/1.0", "/v1") for rule in rules):
            self.fail("leave /1.0 or /v1 out of a rule's path", param, ctx)
        return text


@click.command("token")
@option("--name", "What logs call the client.", "token", type=_Name(), default="client")
@option(
    "--profile",
    "A profile that it may use, the first by default; repeated for several; all without.",
    "token",
    type=_Name(),
    multiple=True,
    metavar="NAME",
)
@option(
    "--rule",
    "A call that it may make, such as 'GET /me'; repeated for several; all without.",
    "token",
    type=_Rule(),
    multiple=True,
    metavar="'METHOD /path'",
)
@option("--json", "Print JSON, for programs.", "token", is_flag=True)
def command(name: str, profile: tuple[str, ...], rule: tuple[str, ...], json: bool) -> None:
    """Make a client token, and the entry of the settings that lets its client in.

    The token is 256 random bits and is printed this once. It alone goes to standard output, for
    TOKEN=$(ovh-proxy token --name ci); the entry, which holds its SHA-256 and no secret, goes to
    standard error. With --json both go to standard output.
    """
    token = secrets.token_urlsafe(_BYTES)
    digest = hashlib.sha256(token.encode()).hexdigest()
    if json:
        click.echo(_as_json(name, token, digest, profile, rule))
        return
    click.echo("# The client token; it is not shown again:", err=True)
    click.echo(token)
    click.echo("\n".join(_entry(name, digest, profile, rule)), err=True)


def _as_json(
    name: str, token: str, digest: str, profiles: tuple[str, ...], rules: tuple[str, ...]
) -> str:
    client: dict[str, object] = {"name": name, "token": {"sha256": digest}}
    if profiles:
        client["profiles"] = profiles
    if rules:
        client["access_rules"] = rules
    return json.dumps({"token": token, "client": client}, indent=2)


def _entry(name: str, digest: str, profiles: tuple[str, ...], rules: tuple[str, ...]) -> list[str]:
    lines = [
        "# For the settings, ovh-proxy.yaml:",
        "clients:",
        f"  - name: {scalar(name)}",
        f"    token: {{sha256: {digest}}}",
    ]
    if profiles:
        lines += ["    profiles:", *listed(profiles, "      ")]
    else:
        lines.append("    # profiles: [NAME]             # the only ones it may use")
    if rules:
        return [*lines, "    access_rules:", *listed(rules, "      ")]
    return [*lines, "    # access_rules: [GET /me]      # the only calls it may make"]
