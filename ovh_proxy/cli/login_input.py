"""Which account logs in, and what its key may do: by flags, by the store, or asked at the terminal."""  # noqa: E501 - the caption in one line

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from ovh_proxy.cli.terminal import ask, ask_checked, is_asked, say
from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.config.profile_fields import NAME_RULE, check_endpoint
from ovh_proxy.config.sdk_config import read_sdk_configuration, sdk_profiles_of
from ovh_proxy.config.secret_references import MAX_BYTES, parse_secret
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.credentials import ApplicationCredential, kind_of
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import NAME, Profile
from ovh_proxy.credential_store.reader import UnresolvedStore, load_profile, open_unresolved_store
from ovh_proxy.ovhcloud.key_rules import key_rules
from ovh_proxy.recording.api_schema import split_version
from ovh_proxy.recording.calls import smallest_rules
from ovh_proxy.recording.recording_file import read_recording

Rules = tuple[AccessRule, ...]


_EVERYTHING = "GET,POST,PUT,DELETE /*"

# A key that may not make this call cannot be revoked by `logout`. The proxy lets it pass only
# where a profile's rules name it.
_LOGOUT = "/auth/logout"

_FLAGS = "--rule 'METHOD /path', --read-only PATH, --read-write PATH or --from-recording FILE"


@dataclass(frozen=True, slots=True)
class GivenRules:
    """What flags say of the rights, each as often as it was given."""

    rule: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    read_write: tuple[str, ...] = ()
    recording: str | None = None


def choose_rules(given: GivenRules, profile: Profile) -> Rules:
    """The rights by flags, by the profile's own rules, or by a menu.

    Raises:
        UsageError: a flag is malformed, there is nobody to ask, or nothing is left to ask for.
        ConfigurationError: the recording is none.
    """
    rules = _by_flags(given, profile)
    if not rules and is_asked():
        rules = _by_menu(profile)
    elif not rules:
        rules = profile.access_rules or ()
    if not rules:
        raise UsageError(f"what may the key do? give {_FLAGS}")
    asked = _of_keys(rules)
    if not asked:
        raise UsageError("no right of a consumer key is among the rules: those of v2 are not")
    may_log_out = any(rule.covers("POST") and rule.matches_raw(_LOGOUT) for rule in asked)
    return asked if may_log_out else (*asked, *parse_rule(f"POST {_LOGOUT}"))


def _by_flags(given: GivenRules, profile: Profile) -> Rules:
    lines = (
        *(("--rule", line) for line in given.rule),
        *(("--read-only", f"read-only {path}") for path in given.read_only),
        *(("--read-write", f"read-write {path}") for path in given.read_write),
    )
    rules: list[AccessRule] = []
    for flag, line in lines:
        try:
            rules += parse_rule(line)
        except ValueError as failure:
            raise UsageError(f"{flag}: {failure}") from failure
    if given.recording is not None:
        rules += _recorded(given.recording, profile.name)
    return tuple(dict.fromkeys(rules))


def parse_rule(line: str) -> Rules:
    """The rules of a line.

    Raises:
        ValueError: malformed; the text says what to write.
    """
    rules = parse_access_rule(" ".join(line.split()))
    if any(split_version(rule.pattern)[0] in ("/1.0", "/v1") for rule in rules):
        raise ValueError("leave /1.0 or /v1 out of a rule's path")
    return rules


def _recorded(file: str, name: str) -> Rules:
    calls = read_recording(file)
    rules = smallest_rules(call for call in calls if call.profile == name)
    if not rules:
        names = ", ".join(sorted({call.profile for call in calls})) or "none at all"
        raise UsageError(f"--from-recording: {file} has no call of profile {name}; of {names}")
    return rules


def _by_menu(profile: Profile) -> Rules:
    choices = [
        ("read everything", parse_rule("GET /*")),
        ("everything: read, create, change, delete", parse_rule(_EVERYTHING)),
        ("the rules that you type", ()),
    ]
    if profile.access_rules:
        shown = "; ".join(map(str, profile.access_rules))
        choices.insert(0, (f"what the store grants: {shown}", profile.access_rules))
    say("What may the new key do?")
    for number, (text, _) in enumerate(choices, 1):
        say(f"  {number}  {text}")
    chosen = ask_checked("Choose", lambda text: _number(text, len(choices)), "1")
    return choices[chosen - 1][1] or _typed()


def _number(text: str, last: int) -> int:
    if text not in map(str, range(1, last + 1)):
        raise ValueError(f"a number from 1 to {last}")
    return int(text)


def _typed() -> Rules:
    rules: list[AccessRule] = []
    say("One a line, such as: GET,POST /domain/zone/*   An empty line ends them.")
    while True:
        line = ask("Rule", default="")
        if not line and rules:
            return tuple(dict.fromkeys(rules))
        try:
            rules += parse_rule(line)
        except ValueError as failure:
            say(f"  {failure}")


def _of_keys(rules: Iterable[AccessRule]) -> Rules:
    """The rules as a consumer key has them; says which are none."""
    asked: dict[str, set[str]] = {}
    for rule in rules:
        named = key_rules((rule,))
        for method, path in named:
            asked.setdefault(path, set()).add(method)
        covered = {method for method, _ in named}
        if rule.methods - covered or not named:
            say(f"Not asked for, because consumer keys know no such right: {rule}")
    return tuple(AccessRule(frozenset(methods), path) for path, methods in asked.items())


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
    profile = load_profile(unresolved, name, sources)
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
