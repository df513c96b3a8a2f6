"""`ovh-proxy logout`: revokes the consumer key and forgets it."""

import asyncio
from typing import Any

import click

from ovh_proxy.cli.options import option, store_options
from ovh_proxy.cli.terminal import confirm
from ovh_proxy.config.nodes import unknown
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.credentials import ApplicationCredential, kind_of
from ovh_proxy.core.errors import CommandFailed, UsageError
from ovh_proxy.core.settings import Profile
from ovh_proxy.credential_store.pending_keys import delete_pending, pending_path
from ovh_proxy.credential_store.reader import load_profile, open_unresolved_store, read_upstream
from ovh_proxy.credential_store.writer import StoreWriter, require_writable


@click.command("logout")
@option("--yes", "Do not ask.", "logout", is_flag=True)
@store_options
def command(yes: bool, **flags: Any) -> int:
    """Revoke the consumer key of a profile at OVHcloud, and forget it here.

    Whoever uses the key is locked out. The application keys stay in the store, ready for the next
    login. A key that OVHcloud does not know any more is forgotten all the same.
    """
    sources = Sources(**flags)
    unresolved = open_unresolved_store(sources)
    name = sources.profile or unresolved.default
    if name is None:
        raise UsageError(
            f"no default profile; name one with --profile: {', '.join(unresolved.names) or 'none'}"
        )
    if name not in unresolved.names:
        problem = unknown("profile", name, unresolved.names, is_shown=True)
        raise UsageError(f"--profile: {problem}")
    profile, kept = load_profile(unresolved, name, sources), unresolved.consumer_key_reference(name)
    is_there = _has_key(profile)
    if is_there:
        if not confirm(f"Revoke the consumer key of profile {name} for whoever uses it?", yes):
            click.echo("Nothing was done.")
            return 0
        click.echo(_revoke(profile, sources))
    try:
        require_writable(name, kept)
    except CommandFailed as failure:
        raise CommandFailed(f"the key could not be forgotten: {failure}") from failure
    delete_pending(pending_path(name, sources))
    if is_there or kept is not None:
        click.echo(
            f"Forgotten: it was kept in {StoreWriter(unresolved.path, sources).forget(name)}."
        )
    else:
        click.echo(f"Profile {name} has no consumer key; nothing was done.")
    return 0


def _has_key(profile: Profile) -> bool:
    if not isinstance(profile.credential, ApplicationCredential):
        raise UsageError(
            f"profile {profile.name} has no consumer key to revoke: its credential is of another "
            f"kind ({kind_of(profile.credential)})"
        )
    return profile.credential.consumer_key is not None


def _revoke(profile: Profile, sources: Sources) -> str:
    # Imported here: the usage errors above need none of it.
    from ovh_proxy.auth.consumer_keys import ConsumerKeys

    reach = read_upstream(sources)

    async def revoke() -> bool:
        async with ConsumerKeys(*reach) as consumer_keys:
            return await consumer_keys.revoke(profile)

    if asyncio.run(revoke()):
        return f"Profile {profile.name}: OVHcloud has revoked the key."
    return f"Profile {profile.name}: OVHcloud did not know the key any more."
