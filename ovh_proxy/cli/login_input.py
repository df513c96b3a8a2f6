"""Whom to log in: a profile of the store, or one that is asked for."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ovh_proxy.cli.asking import ask_checked, is_asked, say
from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.config.profile_fields import NAME_RULE, check_endpoint
from ovh_proxy.config.sdk_config import read_sdk_configuration, sdk_profiles_of
from ovh_proxy.config.secret_references import MAX_BYTES, parse_secret
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.credentials import ApplicationCredential, kind_of
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import NAME, Profile
from ovh_proxy.credential_store.reader import UnresolvedStore, open_unresolved_store, take_profile

T = TypeVar("T")

FIRST_NAME = "personal"


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in.

    Attributes:
        profile: of application keys.
        is_new: whether the store does not have it yet.
    """

    unresolved: UnresolvedStore
    profile: Profile
    is_new: bool


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """What flags say of a profile that is not there yet.

    Attributes:
        secret_file: holds the application secret alone; `-` is standard input.
    """

    endpoint: str | None = None
    application_key: str | None = None
    secret_file: str | None = None


def find_account(sources: Sources, given: GivenKeys) -> Account:
    """The profile that is named, the default, or a new one.

    Raises:
        UsageError: it has no application keys, or nobody can be asked for them.
        ConfigurationError: every problem of the store.
    """
    unresolved = open_unresolved_store(sources)
    name = sources.profile or unresolved.default
    if name is None and unresolved.names:
        raise UsageError(f"which profile? give --profile, one of {', '.join(unresolved.names)}")
    if name not in unresolved.names:
        if not unresolved.names:
            _refuse_sdk_keys(sources, given)
        return Account(unresolved, _new_profile(name, given), is_new=True)
    assert name is not None
    if given != GivenKeys():
        raise UsageError(f"profile {name} is there already, with its endpoint and keys")
    profile = take_profile(unresolved, name, sources)
    if not isinstance(profile.credential, ApplicationCredential):
        raise UsageError(
            f"profile {name} has no consumer key to ask for: its credential is of another kind "
            f"({kind_of(profile.credential)}); name another --profile"
        )
    return Account(unresolved, profile, is_new=False)


def _refuse_sdk_keys(sources: Sources, given: GivenKeys) -> None:
    # A store that is made now would take the place of the keys that serve until now.
    if given == GivenKeys() and sdk_profiles_of(read_sdk_configuration(sources)):
        raise UsageError(
            "there are keys in ovh.conf or OVH_*; bring them into the store first: ovh-proxy import"
        )


def _new_profile(name: str | None, given: GivenKeys) -> Profile:
    is_whole = None not in (given.endpoint, given.application_key, given.secret_file)
    if not is_whole and not is_asked():
        raise UsageError(
            f"profile {name or FIRST_NAME} is not in the store, and there is no terminal to ask "
            "on: give --endpoint, --application-key and --application-secret-file"
        )
    return _asked_profile(name, given)


def _asked_profile(name: str | None, given: GivenKeys) -> Profile:
    if not all((given.endpoint, given.application_key, given.secret_file)):
        say("A new profile: an endpoint, and the keys of an application there.")
        name = name or ask_checked("Name of the profile", _checked_name, FIRST_NAME)
    name = _given("--profile", _checked_name, name or FIRST_NAME)
    written = given.endpoint and _given("--endpoint", check_endpoint, given.endpoint)
    if written is None:
        say(f"Endpoints: {', '.join(ENDPOINTS)}, or a base URL.")
        written = ask_checked("Endpoint", check_endpoint, "ovh-eu")
    endpoint = parse_endpoint(written)
    if given.application_key is None or given.secret_file is None:
        page = endpoint.create_app_url or "its createApp page"
        say(f"Application keys are made at {page}")
    key = (
        ask_checked("Application key", parse_secret)
        if given.application_key is None
        else _given("--application-key", parse_secret, given.application_key)
    )
    secret = _ask_secret() if given.secret_file is None else _secret_of(given.secret_file)
    return Profile(name, endpoint, ApplicationCredential(key, secret, None))


def _ask_secret() -> Secret:
    return ask_checked("Application secret (not shown)", parse_secret, hidden=True)


def _secret_of(file: str) -> Secret:
    flag = "--application-secret-file"
    if file == "-":
        return _given(flag, parse_secret, sys.stdin.readline(MAX_BYTES).strip())
    try:
        text = read_text(file, MAX_BYTES)
    except Unreadable as failure:
        raise UsageError(f"{flag}: {file} {failure}") from failure
    return _given(flag, parse_secret, text.strip())


def _given(flag: str, check: Callable[[str], T], text: str) -> T:
    try:
        return check(text)
    except ValueError as failure:
        raise UsageError(f"{flag}: {failure}") from failure


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(NAME_RULE)
    return name
