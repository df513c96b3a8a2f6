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
from ovh_proxy.core.settings import Profile
from ovh_proxy.credential_store.reader import read_upstream

_AGAIN = "ask again: ovh-proxy login --profile {name}"

# What is wrong, and what to do.
_FAILURES = {
    "refused": ("the key was refused on OVHcloud's page", _AGAIN),
    "expired": ("the key has expired before it was used", _AGAIN),
    "unvalidated": (
        "your browser came back from OVHcloud, and the key is not valid (was it refused?)",
        f"{_AGAIN}, or see once more: ovh-proxy login --resume --profile {{name}}",
    ),
    "gone": ("OVHcloud does not know the key (any more)", _AGAIN),
}


def finish(profile: Profile, outcome: Outcome, storage: KeyStorage | None, as_json: bool) -> int:
    """Keeps the key, tells what became of it, and gives the exit code.

    Args:
        storage: None prints the key and keeps nothing.
    """
    where = storage.finish(outcome) if storage else None
    if as_json:
        click.echo(_as_json(profile, outcome, where))
    elif outcome.is_good and storage is None:
        click.echo(outcome.consumer_key.reveal())
        click.echo("\n".join(_remarks(outcome)), err=True)
    elif outcome.is_good:
        click.echo(f"Profile {profile.name}: the key is validated, and kept in {where}.")
        click.echo("\n".join(_remarks(outcome)))
        click.echo(f"Next: ovh-proxy run --profile {profile.name}")
    if not outcome.is_good:
        complain(_failure(profile, outcome, storage))
    return 0 if outcome.is_good else 1


def _remarks(outcome: Outcome) -> Iterator[str]:
    yield f"  it may call   {safe('; '.join(outcome.rules))}"
    ends = _expiration(outcome)
    if ends is not None:
        yield f"  it ends       {relative_time(ends, datetime.now(UTC))} ({ends:%Y-%m-%d %H:%M %Z})"
    else:
        yield (
            "  it ends       never"
            if outcome.state and outcome.state.rules
            else ("  it ends       unknown: its rules leave GET /auth/currentCredential out")
        )


def _failure(profile: Profile, outcome: Outcome, storage: KeyStorage | None) -> str:
    if outcome.state is None:
        told = "nobody has validated the key in time"
        return f"{told}; go on with: {storage.resume_command}" if storage else f"{told}; ask again"
    state = outcome.state.status
    told, remedy = _FAILURES.get(state, (f"the key is {safe(state)}", _AGAIN))
    return f"{told}; {remedy.format(name=profile.name)}"


def _as_json(profile: Profile, outcome: Outcome, where: str | None) -> str:
    ends = _expiration(outcome)
    return json.dumps(
        {
            "profile": profile.name,
            "endpoint": profile.endpoint.name,
            "state": outcome.state.status if outcome.state else "pendingValidation",
            "ok": outcome.is_good,
            "rules": outcome.rules,
            "expires": ends and ends.isoformat(),
            "kept_in": where,
            "validation_url": None if outcome.state else outcome.validation_url,
        },
        indent=2,
    )


def _expiration(outcome: Outcome) -> datetime | None:
    ends = outcome.state.expiration if outcome.state else None
    # OVHcloud writes the zone; without one, datetimes could not be compared.
    return ends and ends.replace(tzinfo=ends.tzinfo or UTC)


def _checked_blocks(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    for block in value:
        try:
            ipaddress.ip_network(block)
        except ValueError as failure:
            raise click.BadParameter(
                "a block is an address or ADDRESS/BITS, such as 192.0.2.0/24", ctx, param
            ) from failure
    return value


@click.command("login")
# Without a variable: click splits one at spaces, and there is a space within a rule.
@click.option(
    "--rule",
    help="A call that the key may make, such as 'GET,POST /domain/zone/*'; repeated for several.",
    multiple=True,
    metavar="'METHOD /path'",
)
@option(
    "--read-only",
    "GET on a path and all below it; repeated.",
    "login",
    multiple=True,
    metavar="PATH",
)
@option("--read-write", "Every method, likewise; repeated.", "login", multiple=True, metavar="PATH")
@option(
    "--from-recording",
    "What went through a run --record-rules FILE, and nothing else.",
    "login",
    metavar="FILE",
)
@option(
    "--allowed-ip",
    "Addresses that may use the key; repeated; all without.",
    "login",
    multiple=True,
    metavar="CIDR",
    callback=_checked_blocks,
)
@option("--redirect", "Where the browser goes afterwards.", "login", metavar="URL")
@option("--no-browser", "Print the page's URL and open nothing.", "login", is_flag=True)
@option(
    "--timeout",
    "How long to wait for the validation.",
    "login",
    default="10m",
    show_default=True,
    metavar="TIME",
    callback=duration,
)
@option("--resume", "Go on with the key that was asked for before.", "login", is_flag=True)
@option("--endpoint", "Of a new profile: a name or a base URL.", "login", metavar="NAME")
@option("--application-key", "Of a new profile.", "login", metavar="KEY")
@option(
    "--application-secret-file",
    "Of a new profile: the file that holds it, - for standard input.",
    "login",
    metavar="FILE",
)
@option(
    "--keyring", "Keep the key in the system's keyring, not in the store.", "login", is_flag=True
)
@option("--print", "Store nothing; print the key alone.", "login", is_flag=True)
@option("--json", "Print JSON, for programs.", "login", is_flag=True)
@store_options
def command(**flags: Any) -> int:
    """Ask for a consumer key, have it validated in the browser, and keep it.

    A consumer key says which account calls and what it may. The profile is the default, the one of
    --profile, or a new one: then its endpoint and the keys of an application are asked for. Where
    there is no terminal nothing is asked, and flags have to say all.

    Waits until the key is validated, refused, or the time is over. Ctrl-C leaves the key waiting:
    go on with --resume. Exits with 1 when the key is not validated.
    """
    _check(flags)
    given = GivenKeys(
        flags.pop("endpoint"), flags.pop("application_key"), flags.pop("application_secret_file")
    )
    own = {name: flags.pop(name) for name in _OWN}
    sources = Sources(**flags)
    account = find_account(sources, given)
    storage = None if own["print"] else KeyStorage(account, sources, own["keyring"])
    outcome = _log_in(account, own, sources, storage)
    return finish(account.profile, outcome, storage, own["json"])


_ASKED = ("rule", "read_only", "read_write", "from_recording", "allowed_ip", "redirect")

_OWN = (*_ASKED, "no_browser", "timeout", "resume", "keyring", "print", "json")


def _check(flags: dict[str, Any]) -> None:
    if flags["print"] and (flags["json"] or flags["keyring"] or flags["resume"]):
        raise UsageError("--print goes without --json, --keyring and --resume")
    if flags["resume"] and any(flags[name] for name in _ASKED):
        raise UsageError("--resume goes on with what was asked for; leave the flags of rights out")


def _log_in(
    account: Account, own: dict[str, Any], sources: Sources, storage: KeyStorage | None
) -> Outcome:
    reach = read_upstream(sources)
    pending = storage.resumed() if storage and own["resume"] else None
    rights = GivenRules(own["rule"], own["read_only"], own["read_write"], own["from_recording"])
    key_request = KeyRequest(
        account.profile,
        () if pending else choose_rules(rights, account.profile),
        own["allowed_ip"],
        own["redirect"],
        own["timeout"],
        (lambda url: False) if own["no_browser"] else open_browser,
    )
    keep = storage.start if storage else (lambda pending: None)
    try:
        return asyncio.run(request_key(key_request, pending, keep, reach))
    except KeyboardInterrupt:
        if storage:
            say(f"The key waits for you; go on with: {storage.resume_command}")
        raise
