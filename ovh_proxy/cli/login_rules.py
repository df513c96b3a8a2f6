"""The rights that a new consumer key is asked to have."""

from collections.abc import Iterable
from dataclasses import dataclass

from ovh_proxy.cli.asking import ask, ask_checked, is_asked, say
from ovh_proxy.core.access_rules import AccessRule, parse_access_rule
from ovh_proxy.core.errors import UsageError
from ovh_proxy.core.settings import Profile
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
