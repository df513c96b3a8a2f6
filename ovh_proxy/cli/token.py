"""`ovh-proxy token`: makes a client token and the `clients` entry for it."""

import hashlib
import json
import secrets

import click

from ovh_proxy.cli.options import option
from ovh_proxy.cli.terminal import yaml_list, yaml_scalar
from ovh_proxy.core.access_rules import parse_access_rule, reject_version
from ovh_proxy.core.redaction import quoted
from ovh_proxy.core.settings import NAME

_BYTES = 32


def _checked_names(
    ctx: click.Context, param: click.Parameter, value: str | tuple[str, ...]
) -> str | tuple[str, ...]:
    for name in (value,) if isinstance(value, str) else value:
        if not NAME.fullmatch(name):
            raise click.BadParameter(
                f"invalid name {quoted(name)}; use at most 64 letters, digits, '.', '_' and '-'",
                ctx,
                param,
            )
    return value


def _checked_rules(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    lines = tuple(" ".join(line.split()) for line in value)
    for line in lines:
        try:
            for rule in parse_access_rule(line):
                reject_version(rule.pattern)
        except ValueError as failure:
            raise click.BadParameter(str(failure), ctx, param) from failure
    return lines


@click.command("token")
@option("--name", "Name of the client in logs.", "token", default="client", callback=_checked_names)
@option(
    "--profile",
    "Profile that the client may use; repeatable, the first is its default; by default all.",
    "token",
    multiple=True,
    metavar="NAME",
    callback=_checked_names,
)
# Without a variable: click splits variables of repeatable flags at spaces, and rules have one.
@click.option(
    "--rule",
    help="Call that the client may make, such as 'GET /me'; repeatable; by default all.",
    multiple=True,
    metavar="'METHOD /path'",
    callback=_checked_rules,
)
@option("--json", "Print JSON.", "token", is_flag=True)
def command(name: str, profile: tuple[str, ...], rule: tuple[str, ...], json: bool) -> None:
    """Create a client token and the entry of the settings that accepts it.

    The token is 256 random bits and is shown only once. Only the token goes to standard output, for
    TOKEN=$(ovh-proxy token --name ci); the entry, which has the token's SHA-256 and no secret, goes
    to standard error. With --json, both go to standard output.
    """
    token = secrets.token_urlsafe(_BYTES)
    digest = hashlib.sha256(token.encode()).hexdigest()
    if json:
        click.echo(_as_json(name, token, digest, profile, rule))
        return
    click.echo("# Client token; it is not shown again:", err=True)
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
        "# Entry for the server settings, ovh-proxy.yaml:",
        "clients:",
        f"  - name: {yaml_scalar(name)}",
        f"    token: {{sha256: {digest}}}",
    ]
    if profiles:
        lines += ["    profiles:", *yaml_list(profiles, "      ")]
    else:
        lines.append("    # profiles: [NAME]             # the only profiles it may use")
    if rules:
        return [*lines, "    access_rules:", *yaml_list(rules, "      ")]
    return [*lines, "    # access_rules: [GET /me]      # the only calls it may make"]
