"""One consumer key from the asking to what became of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ovh_proxy.auth.consumer_keys import ConsumerKeys
from ovh_proxy.cli.asking import say
from ovh_proxy.cli.login_callback import return_page
from ovh_proxy.cli.terminal import safe
from ovh_proxy.cli.waiting import INTERVAL_S, wait_for_owner
from ovh_proxy.core.access_rules import AccessRule
from ovh_proxy.core.credentials import ApplicationCredential
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import Profile, Timeouts, Upstream
from ovh_proxy.credential_store.pending_keys import PendingKey
from ovh_proxy.ovhcloud.auth_api import CredentialState


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What is asked for, and how it is waited for.

    Attributes:
        redirect: where the browser goes afterwards; None for a page of ours.
        opens: opens the validation page; says whether it could.
    """

    profile: Profile
    rules: tuple[AccessRule, ...]
    allowed_ips: tuple[str, ...]
    redirect: str | None
    timeout_s: float
    opens: Callable[[str], bool]
    interval_s: float = INTERVAL_S


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a key.

    Attributes:
        state: None when the time was over before anybody decided.
        rules: as the key has them, else as they were asked for.
    """

    consumer_key: Secret
    validation_url: str
    state: CredentialState | None
    rules: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        return self.state is not None and self.state.status == "validated"


async def request_key(
    key_request: KeyRequest,
    pending: PendingKey | None,
    keep: Callable[[PendingKey], None],
    reach: tuple[Upstream, Timeouts],
) -> Outcome:
    """Asks for a key, or takes the one that waits, and sees it through.

    Args:
        keep: told of a new key before its owner is, so that no interruption loses it.

    Raises:
        CommandFailed: OVHcloud refuses what is asked for.
        OvhProxyError: it could not be asked.
    """
    port = None if key_request.redirect else pending.port or None if pending else 0
    async with ConsumerKeys(*reach) as consumer_keys, return_page(port) as page:
        if pending is None:
            redirect = key_request.redirect or page.url
            new = await consumer_keys.request(
                key_request.profile, key_request.rules, redirect, key_request.allowed_ips
            )
            rules = tuple(map(str, key_request.rules))
            base_url = key_request.profile.endpoint.base_url
            pending = PendingKey(base_url, new.consumer_key, new.validation_url, rules, page.port)
            keep(pending)
        _show(pending, key_request)
        profile = _with_key(key_request.profile, pending.consumer_key)
        state = await wait_for_owner(
            consumer_keys, profile, page.came_back, key_request.timeout_s, key_request.interval_s
        )
        if state is not None and key_request.redirect is None:
            await page.see_off()
    rules = (state and state.rules) or pending.rules
    return Outcome(pending.consumer_key, pending.validation_url, state, rules)


def _show(pending: PendingKey, key_request: KeyRequest) -> None:
    say("Log in to OVHcloud on this page and validate the key; it asks for:")
    for rule in pending.rules:
        say(f"  {safe(rule)}")
    say()
    say(f"  {pending.validation_url}")
    say()
    if key_request.opens(pending.validation_url):
        say("It opens in your browser.")


def _with_key(profile: Profile, key: Secret) -> Profile:
    assert isinstance(profile.credential, ApplicationCredential)
    return replace(profile, credential=replace(profile.credential, consumer_key=key))
