"""What a login tells at its end."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from ovh_proxy.cli.key_keeper import KeyStorage
from ovh_proxy.cli.login_key import Outcome
from ovh_proxy.cli.terminal import complain, relative_time, safe
from ovh_proxy.core.settings import Profile

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
