"""Which account logs in, and what its key may do: by flags, by the store, or asked at the terminal."""  # noqa: E501 - the caption in one line

import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

from ovh_proxy.cli.terminal import ask, ask_checked, is_asked, say
from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.config.profile_fields import NAME_RULE, check_endpoint
from ovh_proxy.config.sdk_config import read_sdk_configuration, sdk_profiles_of
from ovh_proxy.config.secret_references import MAX_BYTES, parse_key
from ovh_proxy.config.sources import Sources
from ovh_proxy.core.access_rules import AccessRule, parse_access_rule, reject_version
from ovh_proxy.core.credentials import ApplicationCredential, kind_of
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.redaction import alternatives, quoted, unknown
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import NAME, Profile
from ovh_proxy.credential_store.reader import UnresolvedStore, load_profile, open_unresolved_store
from ovh_proxy.ovhcloud.key_rules import key_rules
from ovh_proxy.recording.calls import smallest_rules
from ovh_proxy.recording.recording_file import read_recording

T = TypeVar("T")
Rules = tuple[AccessRule, ...]
FIRST_NAME = "personal"
# Without the right to this call, `logout` cannot revoke the key. The proxy forwards the call only
# if the rules of a profile name it.
_LOGOUT = "/auth/logout"
_FLAGS = "--rule 'METHOD /path', --read-only PATH, --read-write PATH or --from-recording FILE"


@dataclass(frozen=True, slots=True)
class GivenRules:
    """The access rules that the flags ask for."""

    rule: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    read_write: tuple[str, ...] = ()
    recording: str | None = None


def choose_rules(given: GivenRules, profile: Profile) -> Rules:
    """The rules to request: from the flags, else from a menu, else the rules of the profile.

    Raises:
        UsageError: a flag is malformed, no rules are given and there is no terminal, or no rule
            applies to consumer keys.
        ConfigurationError: the recording is malformed.
    """
    rules = _from_flags(given, profile)
    if not rules and is_asked():
        rules = _from_menu(profile)
    elif not rules:
        rules = profile.access_rules or ()
    if not rules:
        raise UsageError(f"no access rules for the new key; use {_FLAGS}")
    requested = _supported_by_keys(rules)
    if not requested:
        raise UsageError(
            f"consumer keys support none of these rules: {'; '.join(map(str, rules))}; "
            "use a path of API v1, such as /me"
        )
    may_log_out = any(rule.covers("POST") and rule.matches_raw(_LOGOUT) for rule in requested)
    return requested if may_log_out else (*requested, *parse_rule(f"POST {_LOGOUT}"))


def _from_flags(given: GivenRules, profile: Profile) -> Rules:
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
        rules += _from_recording(given.recording, profile.name)
    return tuple(dict.fromkeys(rules))


def parse_rule(line: str) -> Rules:
    """The rules of a line.

    Raises:
        ValueError: malformed; the text says what to write.
    """
    rules = parse_access_rule(" ".join(line.split()))
    for rule in rules:
        reject_version(rule.pattern)
    return rules


def _from_recording(file: str, name: str) -> Rules:
    calls = read_recording(file)
    rules = smallest_rules(call for call in calls if call.profile == name)
    if not rules:
        names = ", ".join(sorted({call.profile for call in calls})) or "none"
        raise UsageError(
            f"--from-recording: {file} has no calls of profile {quoted(name)}; "
            f"it has calls of these profiles: {names}"
        )
    return rules


def _from_menu(profile: Profile) -> Rules:
    choices = [
        ("read everything", parse_rule("GET /*")),
        ("everything: read, create, change, delete", parse_rule("GET,POST,PUT,DELETE /*")),
        ("rules that you type", ()),
    ]
    if profile.access_rules:
        shown = "; ".join(map(str, profile.access_rules))
        choices.insert(0, (f"the access rules of the profile: {shown}", profile.access_rules))
    say("What should the new key allow?")
    for number, (text, _) in enumerate(choices, 1):
        say(f"  {number}  {text}")
    chosen = ask_checked("Choose", lambda text: _number(text, len(choices)), "1")
    return choices[chosen - 1][1] or _ask_rules()


def _number(text: str, last: int) -> int:
    if text not in map(str, range(1, last + 1)):
        raise ValueError(unknown("choice", text, map(str, range(1, last + 1))))
    return int(text)


def _ask_rules() -> Rules:
    rules: list[AccessRule] = []
    say("One rule per line, such as: GET,POST /domain/zone/*   Finish with an empty line.")
    while True:
        line = ask("Rule", default="")
        if not line and rules:
            return tuple(dict.fromkeys(rules))
        try:
            rules += parse_rule(line)
        except ValueError as failure:
            say(f"  {failure}")


def _supported_by_keys(rules: Iterable[AccessRule]) -> Rules:
    """The part of the rules that consumer keys support; prints a note about the rest."""
    requested: dict[str, set[str]] = {}
    for rule in rules:
        supported = key_rules((rule,))
        for method, path in supported:
            requested.setdefault(path, set()).add(method)
        methods = {method for method, _ in supported}
        if rule.methods - methods or not supported:
            say(f"Left out, because consumer keys do not support it: {rule}")
    return tuple(AccessRule(frozenset(methods), path) for path, methods in requested.items())


@dataclass(frozen=True, slots=True)
class Account:
    """The profile that logs in.

    Attributes:
        profile: has application keys.
        is_new: the profile is not in the store yet.
    """

    unresolved: UnresolvedStore
    profile: Profile
    is_new: bool


@dataclass(frozen=True, slots=True)
class GivenKeys:
    """What the flags say about a new profile.

    Attributes:
        secret_file: contains only the application secret; `-` is standard input.
    """

    endpoint: str | None = None
    application_key: str | None = None
    secret_file: str | None = None


def find_account(sources: Sources, given: GivenKeys) -> Account:
    """The profile of --profile, the default profile, or a new one.

    Raises:
        UsageError: it has no application keys, and there is no terminal to ask for them.
        ConfigurationError: every problem of the store.
    """
    unresolved = open_unresolved_store(sources)
    name = sources.profile or unresolved.default
    if name is None and unresolved.names:
        raise UsageError(no_profile_given(unresolved.names))
    if name not in unresolved.names:
        if not unresolved.names:
            _reject_sdk_keys(sources, given)
        return Account(unresolved, _new_profile(name, given), is_new=True)
    assert name is not None
    if given != GivenKeys():
        raise UsageError(
            f"profile {quoted(name)} exists already; leave out --endpoint, --application-key and "
            "--application-secret-file, or use another --profile"
        )
    profile = load_profile(unresolved, name, sources)
    application_keys(profile)
    return Account(unresolved, profile, is_new=False)


def no_profile_given(names: Collection[str]) -> str:
    """The message for a command that needs a profile and got none."""
    return f"no profile given; use --profile with {alternatives(names) if names else 'a name'}"


def application_keys(profile: Profile) -> ApplicationCredential:
    """The application keys of a profile, and its consumer key if there is one.

    Raises:
        UsageError: the profile has another kind of credential.
    """
    if not isinstance(profile.credential, ApplicationCredential):
        raise UsageError(
            f"profile {quoted(profile.name)} has no consumer key: its credential is of the kind "
            f"{quoted(kind_of(profile.credential))}; use another --profile"
        )
    return profile.credential


def _reject_sdk_keys(sources: Sources, given: GivenKeys) -> None:
    # A new store would hide the keys that are in use: without a store, the SDKs' keys are read.
    if given == GivenKeys() and sdk_profiles_of(read_sdk_configuration(sources)):
        raise UsageError(
            "ovh.conf or OVH_* variables contain keys; import them into the store first: "
            "ovh-proxy import"
        )


def _new_profile(name: str | None, given: GivenKeys) -> Profile:
    is_complete = None not in (given.endpoint, given.application_key, given.secret_file)
    if not is_complete and not is_asked():
        raise UsageError(
            f"profile {quoted(name or FIRST_NAME)} is not in the store, and there is no terminal "
            "to ask; use --endpoint, --application-key and --application-secret-file"
        )
    return _ask_profile(name, given)


def _ask_profile(name: str | None, given: GivenKeys) -> Profile:
    if not all((given.endpoint, given.application_key, given.secret_file)):
        say("A new profile needs an endpoint and the keys of an application.")
        name = name or ask_checked("Name of the profile", _check_name, FIRST_NAME)
    name = _parse_flag("--profile", _check_name, name or FIRST_NAME)
    written = given.endpoint and _parse_flag("--endpoint", check_endpoint, given.endpoint)
    if written is None:
        say(f"Endpoints: {', '.join(ENDPOINTS)}, or a base URL.")
        written = ask_checked("Endpoint", check_endpoint, "ovh-eu")
    endpoint = parse_endpoint(written)
    if given.application_key is None or given.secret_file is None:
        page = endpoint.create_app_url or "the createApp page of the endpoint"
        say(f"Create application keys at {page}")
    key = (
        ask_checked("Application key", parse_key)
        if given.application_key is None
        else _parse_flag("--application-key", parse_key, given.application_key)
    )
    secret = (
        ask_checked("Application secret (not shown)", parse_key, hidden=True)
        if given.secret_file is None
        else _read_secret(given.secret_file)
    )
    return Profile(name, endpoint, ApplicationCredential(key, secret, None))


def _read_secret(file: str) -> Secret:
    flag = "--application-secret-file"
    if file == "-":
        return _parse_flag(flag, parse_key, sys.stdin.readline(MAX_BYTES).strip())
    try:
        text = read_text(file, MAX_BYTES)
    except Unreadable as failure:
        raise UsageError(f"{flag}: {file} {failure}") from failure
    return _parse_flag(flag, parse_key, text.strip())


def _parse_flag(flag: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as failure:
        raise UsageError(f"{flag}: {failure}") from failure


def _check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"invalid name {quoted(name)}: {NAME_RULE}")
    return name
