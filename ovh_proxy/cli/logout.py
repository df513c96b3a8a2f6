"""`ovh-proxy logout`: revokes the consumer key and forgets it."""

import asyncio
from typing import Any

import click

from ovh_proxy.cli.login_input import application_keys, no_profile_given
from ovh_proxy.cli.options import option, store_options
from ovh_proxy.cli.terminal import confirm
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.errors import CommandFailed, UsageError
from ovh_proxy.core.redaction import unknown
from ovh_proxy.core.settings import Profile
from ovh_proxy.credential_store.pending_keys import delete_pending, pending_path
from ovh_proxy.credential_store.reader import load_profile, open_unresolved_store, read_upstream
from ovh_proxy.credential_store.writer import StoreWriter, require_writable


@click.command("logout")
@option("--yes", "Do not ask for confirmation.", "logout", is_flag=True)
@store_options
def command(yes: bool, **flags: Any) -> int:
    """Revoke the consumer key of a profile at OVHcloud, and delete it here.

    Every program that uses the key loses access. The application keys stay in the store, for the
    next login. A key that OVHcloud no longer knows is deleted, too.
    """
    sources = Sources(**flags)
    unresolved = open_unresolved_store(sources)
    name = sources.profile or unresolved.default
    if name is None:
        raise UsageError(no_profile_given(unresolved.names))
    if name not in unresolved.names:
        raise UsageError(f"--profile: {unknown('profile', name, unresolved.names)}")
    profile, reference = (
        load_profile(unresolved, name, sources),
        unresolved.consumer_key_reference(name),
    )
    has_key = application_keys(profile).consumer_key is not None
    if has_key:
        if not confirm(f"Revoke the consumer key of profile {name} for all its users?", yes):
            click.echo("Nothing changed.")
            return 0
        click.echo(_revoke(profile, sources))
    try:
        require_writable(name, reference)
    except CommandFailed as failure:
        raise CommandFailed(f"the key cannot be deleted: {failure}") from failure
    delete_pending(pending_path(name, sources))
    if has_key or reference is not None:
        click.echo(f"Deleted from {StoreWriter(unresolved.path, sources).forget(name)}.")
    else:
        click.echo(f"Profile {name} has no consumer key; nothing changed.")
    return 0


def _revoke(profile: Profile, sources: Sources) -> str:
    # Imported here: the usage errors above do not need it.
    from ovh_proxy.auth.consumer_keys import ConsumerKeys

    connection = read_upstream(sources)

    async def revoke() -> bool:
        async with ConsumerKeys(*connection) as consumer_keys:
            return await consumer_keys.revoke(profile)

    if asyncio.run(revoke()):
        return f"Profile {profile.name}: OVHcloud revoked the key."
    return f"Profile {profile.name}: OVHcloud no longer knew the key."
