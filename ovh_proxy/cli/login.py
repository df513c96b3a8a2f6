"""`ovh-proxy login`: asks for a consumer key, and tells what became of it."""

import asyncio
import ipaddress
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from ovh_proxy.cli.login_callback import open_browser
from ovh_proxy.cli.login_input import Account, GivenKeys, GivenRules, choose_rules, find_account
from ovh_proxy.cli.login_key import KeyRequest, KeyStorage, Outcome, request_key
from ovh_proxy.cli.options import duration, option, store_options
from ovh_proxy.cli.terminal import complain, relative_time, safe, say
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.redaction import quoted
from ovh_proxy.core.settings import Profile
from ovh_proxy.credential_store.reader import read_upstream

_AGAIN = "request a new one: ovh-proxy login --profile {name}"
# Status of the key: what is wrong, and what to do.
_FAILURES = {
    "refused": ("the key was refused on OVHcloud's page", _AGAIN),
    "expired": ("the key expired before it was used", _AGAIN),
    "unvalidated": (
        "your browser came back from OVHcloud, but the key is not valid (was it refused?)",
        f"{_AGAIN}, or check again: ovh-proxy login --resume --profile {{name}}",
    ),
    "gone": ("OVHcloud does not know the key", _AGAIN),
}


def finish(profile: Profile, outcome: Outcome, storage: KeyStorage | None, as_json: bool) -> int:
    """Stores or prints the key, reports the result, and returns the exit code.

    Args:
        storage: None prints the key and stores nothing.
    """
    stored_in = storage.finish(outcome) if storage else None
    if as_json:
        click.echo(_as_json(profile, outcome, stored_in))
    elif outcome.is_validated and storage is None:
        click.echo(outcome.consumer_key.reveal())
        click.echo("\n".join(_details(outcome)), err=True)
    elif outcome.is_validated:
        click.echo(f"Profile {profile.name}: the key is validated and stored in {stored_in}.")
        click.echo("\n".join(_details(outcome)))
        click.echo(f"Next: ovh-proxy run --profile {profile.name}")
    if not outcome.is_validated:
        complain(_failure(profile, outcome, storage))
    return 0 if outcome.is_validated else 1


def _details(outcome: Outcome) -> Iterator[str]:
    yield f"  allows   {safe('; '.join(outcome.rules))}"
    expires = _expiration(outcome)
    if expires is not None:
        relative = relative_time(expires, datetime.now(UTC))
        yield f"  expires  {relative} ({expires:%Y-%m-%d %H:%M %Z})"
    elif outcome.state and outcome.state.rules:
        yield "  expires  never"
    else:
        yield "  expires  unknown: the key's rules do not include GET /auth/currentCredential"


def _failure(profile: Profile, outcome: Outcome, storage: KeyStorage | None) -> str:
    if outcome.state is None:
        remedy = f"continue with: {storage.resume_command}" if storage else "run the command again"
        return f"the key was not validated in time; {remedy}"
    status = outcome.state.status
    problem, remedy = _FAILURES.get(status, (f"the key is {safe(status)}", _AGAIN))
    return f"{problem}; {remedy.format(name=profile.name)}"


def _as_json(profile: Profile, outcome: Outcome, stored_in: str | None) -> str:
    expires = _expiration(outcome)
    return json.dumps(
        {
            "profile": profile.name,
            "endpoint": profile.endpoint.name,
            "state": outcome.state.status if outcome.state else "pendingValidation",
            "ok": outcome.is_validated,
            "rules": outcome.rules,
            "expires": expires and expires.isoformat(),
            "kept_in": stored_in,
            "validation_url": None if outcome.state else outcome.validation_url,
        },
        indent=2,
    )


def _expiration(outcome: Outcome) -> datetime | None:
    expires = outcome.state.expiration if outcome.state else None
    # OVHcloud writes the zone; without one, datetimes could not be compared.
    return expires and expires.replace(tzinfo=expires.tzinfo or UTC)


def _check_networks(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    for network in value:
        try:
            ipaddress.ip_network(network)
        except ValueError as failure:
            raise click.BadParameter(
                f"invalid network {quoted(network)}; use an address or ADDRESS/BITS, "
                "such as 192.0.2.0/24",
                ctx,
                param,
            ) from failure
    return value


@click.command("login")
# Without a variable: click splits its value at spaces, and a rule contains a space.
@click.option(
    "--rule",
    help="Allow a call, such as 'GET,POST /domain/zone/*' (repeatable).",
    multiple=True,
    metavar="'METHOD /path'",
)
@option(
    "--read-only",
    "Allow GET on a path and everything below it (repeatable).",
    "login",
    multiple=True,
    metavar="PATH",
)
@option(
    "--read-write",
    "Allow every method on a path and everything below it (repeatable).",
    "login",
    multiple=True,
    metavar="PATH",
)
@option(
    "--from-recording",
    "Allow exactly the calls that `run --record-rules FILE` recorded.",
    "login",
    metavar="FILE",
)
@option(
    "--allowed-ip",
    "Only allow this address or network to use the key (repeatable); default: any.",
    "login",
    multiple=True,
    metavar="CIDR",
    callback=_check_networks,
)
@option("--redirect", "Where OVHcloud sends the browser after validation.", "login", metavar="URL")
@option(
    "--no-browser",
    "Print the URL of the validation page; do not open a browser.",
    "login",
    is_flag=True,
)
@option(
    "--timeout",
    "How long to wait for the validation.",
    "login",
    default="10m",
    show_default=True,
    metavar="TIME",
    callback=duration,
)
@option("--resume", "Continue with the key that is waiting for validation.", "login", is_flag=True)
@option("--endpoint", "For a new profile: an endpoint name or a base URL.", "login", metavar="NAME")
@option("--application-key", "For a new profile.", "login", metavar="KEY")
@option(
    "--application-secret-file",
    "For a new profile: the file with the secret, or - for standard input.",
    "login",
    metavar="FILE",
)
@option(
    "--keyring",
    "Store the key in the system's keyring, not in the credential store.",
    "login",
    is_flag=True,
)
@option("--print", "Print only the key; store nothing.", "login", is_flag=True)
@option("--json", "Print JSON.", "login", is_flag=True)
@store_options
def command(**flags: Any) -> int:
    """Request a consumer key, validate it in the browser, and store it.

    A consumer key identifies an account and lists the calls that it allows. Uses the default
    profile or the one of --profile. For a new profile, asks for the endpoint and the application
    keys. Without a terminal nothing is asked: pass everything as flags.

    Waits until the key is validated or refused, or until --timeout. Ctrl-C keeps the key:
    continue with --resume. Exits with 1 if the key is not validated.
    """
    _check_flags(flags)
    given = GivenKeys(
        flags.pop("endpoint"), flags.pop("application_key"), flags.pop("application_secret_file")
    )
    options = {name: flags.pop(name) for name in _OPTIONS}
    sources = Sources(**flags)
    account = find_account(sources, given)
    storage = None if options["print"] else KeyStorage(account, sources, options["keyring"])
    outcome = _log_in(account, options, sources, storage)
    return finish(account.profile, outcome, storage, options["json"])


_KEY_OPTIONS = ("rule", "read_only", "read_write", "from_recording", "allowed_ip", "redirect")
_OPTIONS = (*_KEY_OPTIONS, "no_browser", "timeout", "resume", "keyring", "print", "json")


def _check_flags(flags: dict[str, Any]) -> None:
    _reject_combination(flags, "print", ("json", "keyring", "resume"))
    _reject_combination(flags, "resume", _KEY_OPTIONS)


def _reject_combination(flags: dict[str, Any], name: str, others: tuple[str, ...]) -> None:
    for other in others:
        if flags[name] and flags[other]:
            raise UsageError(f"--{name} cannot be combined with --{other.replace('_', '-')}")


def _log_in(
    account: Account, options: dict[str, Any], sources: Sources, storage: KeyStorage | None
) -> Outcome:
    connection = read_upstream(sources)
    pending = storage.read_pending() if storage and options["resume"] else None
    given = GivenRules(
        options["rule"], options["read_only"], options["read_write"], options["from_recording"]
    )
    key_request = KeyRequest(
        account.profile,
        () if pending else choose_rules(given, account.profile),
        options["allowed_ip"],
        options["redirect"],
        options["timeout"],
        (lambda url: False) if options["no_browser"] else open_browser,
    )
    save_pending = storage.save_pending if storage else (lambda pending: None)
    try:
        return asyncio.run(request_key(key_request, pending, save_pending, connection))
    except KeyboardInterrupt:
        if storage:
            say(f"The key is still waiting; continue with: {storage.resume_command}")
        raise
