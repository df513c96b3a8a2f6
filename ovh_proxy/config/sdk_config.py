"""The official SDKs' `ovh.conf` and `OVH_*`: read, and turned into profiles.

The rules are those that python-ovh and go-ovh share: each key is taken from the environment, else
from `./ovh.conf`, `~/.ovh.conf` or `/etc/ovh.conf`, in this order; empty values are ignored.
"""

import configparser
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.config.nodes import invalid
from ovh_proxy.config.profile_fields import (
    CREDENTIAL_NAMES,
    NAME_RULE,
    check_endpoint,
    credential_problems,
    make_credential,
    token_url_problem,
)
from ovh_proxy.config.secret_references import parse_key, quotes_warning, without_quotes
from ovh_proxy.config.sources import Sources, conf_files
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.redaction import shown, unknown
from ovh_proxy.core.settings import NAME, Profile, Store

ENVIRONMENT = "OVH_*"
VARIABLES = {key: f"OVH_{key.upper()}" for key in ("endpoint", "profile", *CREDENTIAL_NAMES)}


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and its source.

    Attributes:
        source: the display name of a file, or ENVIRONMENT.
        line: 0 for a variable.
        is_here: whether it is from `./ovh.conf`, which anyone may have put there.
        was_quoted: whether it was in quotes, which are removed.
    """

    key: str
    text: str = field(repr=False)
    source: str
    line: int = 0
    is_here: bool = False
    was_quoted: bool = field(default=False, compare=False)

    def problem(self, profile: str, message: str) -> Problem:
        """A problem of this value, with its location."""
        if self.source == ENVIRONMENT:
            return Problem("environment", 0, VARIABLES[self.key], message)
        return Problem(self.source, self.line, f"{profile}.{self.key}", message)

    @property
    def place(self) -> str:
        """The variable, or the file, line and key."""
        if self.source == ENVIRONMENT:
            return f"environment variable {VARIABLES[self.key]}"
        return f"{self.source}:{self.line}: {self.key}"


@dataclass(frozen=True, slots=True)
class SdkConfiguration:
    """The values that the SDKs would read, not yet interpreted.

    Attributes:
        sections: those of all files merged; of each key, the value of highest precedence.
        names: display names of the files, by precedence.
        files: absolute paths of the files that exist.
    """

    sections: Mapping[str, Mapping[str, Entry]]
    environment: Mapping[str, Entry]
    names: tuple[str, ...]
    files: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_sdk_configuration(sources: Sources) -> SdkConfiguration:
    """The configuration that the SDKs would read here."""
    sections: dict[str, dict[str, Entry]] = {}
    files: list[str] = []
    problems: list[Problem] = []
    for name, path in conf_files(sources):
        if os.path.lexists(path):
            files.append(os.path.abspath(path))
            for section, entry in _read_file(name, path, problems):
                sections.setdefault(section, {}).setdefault(entry.key, entry)
    return SdkConfiguration(
        sections,
        read_variables(sources.environ),
        tuple(name for name, _ in conf_files(sources)),
        tuple(files),
        tuple(problems),
    )


def read_conf_file(name: str) -> SdkConfiguration:
    """The configuration of one file, without the environment."""
    sections: dict[str, dict[str, Entry]] = {}
    problems: list[Problem] = []
    for section, entry in _read_file(name, Path(name), problems):
        sections.setdefault(section, {})[entry.key] = entry
    return SdkConfiguration(sections, {}, (name,), (os.path.abspath(name),), tuple(problems))


def read_variables(environ: Mapping[str, str]) -> dict[str, Entry]:
    """The SDKs' variables that are not empty, by key."""
    present = ((key, environ.get(name, "")) for key, name in VARIABLES.items())
    return {
        key: Entry(key, bare, ENVIRONMENT, was_quoted=bare != text)
        for key, text in present
        if (bare := without_quotes(text))
    }


def _read_file(name: str, path: Path, problems: list[Problem]) -> Iterator[tuple[str, Entry]]:
    try:
        yield from read_conf(read_text(str(path)), name)
    except Unreadable as failure:
        problems.append(Problem(name, 0, "", str(failure)))
    except configparser.Error as failure:
        problems.extend(_malformed(failure, name))


def read_conf(text: str, name: str) -> Iterator[tuple[str, Entry]]:
    """The entries of a file that are not empty, each with its section.

    Raises:
        configparser.Error: malformed; its text quotes the file.
    """
    # Only python-ovh treats [DEFAULT] specially; a name that no section can have disables that.
    parser = configparser.RawConfigParser(default_section="]")
    parser.read_string(text)
    lines = _lines(text)
    for section in parser.sections():
        for key, value in parser.items(section):
            # go-ovh strips quotes and comments, python-ovh does not; no key contains either.
            written = re.sub(r"(^|\s+)[;#].*", "", value)
            if cleaned := without_quotes(written):
                line = lines.get((section, key), 0)
                is_here, was_quoted = name == "./ovh.conf", cleaned != written
                yield section, Entry(key, cleaned, name, line, is_here, was_quoted)


def _lines(text: str) -> dict[tuple[str, str], int]:
    """The line of each key, which configparser does not provide."""
    section = ""
    lines: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := configparser.RawConfigParser.SECTCRE.match(line):
            section = header["header"]
        elif option := configparser.RawConfigParser.OPTCRE.match(line):
            lines.setdefault((section, option["option"].strip().lower()), number)
    return lines


def _malformed(failure: configparser.Error, name: str) -> Iterator[Problem]:
    reasons = {
        configparser.DuplicateSectionError: "duplicate section; merge the two",
        configparser.DuplicateOptionError: "duplicate key in this section; remove one",
        configparser.MissingSectionHeaderError: "no [section] above this line; add one",
    }
    reason = reasons.get(type(failure), "neither [section] nor key = value; correct the line")
    errors = getattr(failure, "errors", [(getattr(failure, "lineno", 0), "")])
    for line, _ in errors:
        yield Problem(name, line or 0, "", reason)


# The default of go-ovh; python-ovh has none and requires one.
DEFAULT_ENDPOINT = Entry("endpoint", "ovh-eu", "the default")
_PREFIX = "profile:"


@dataclass(frozen=True, slots=True)
class SdkProfile:
    """A profile, before its values are checked; they may come from several sources.

    Attributes:
        keys: the fields of its credential; at least one.
        is_named: whether it is a `[profile:NAME]`, not an endpoint's section.
    """

    name: str
    endpoint: Entry
    keys: dict[str, Entry]
    is_named: bool = False


def sdk_profiles_of(configuration: SdkConfiguration) -> tuple[SdkProfile, ...]:
    """A profile for each section of an endpoint, each `[profile:NAME]`, and the environment."""
    default = default_endpoint(configuration)
    given = _keys(configuration.environment)
    profiles: list[SdkProfile] = []
    for section, entries in configuration.sections.items():
        keys = _keys(entries)
        if section.startswith(_PREFIX):
            name = section.removeprefix(_PREFIX).strip()
            profiles.append(SdkProfile(name, entries.get("endpoint", default), keys, is_named=True))
        elif section != default.text and keys and (section in ENDPOINTS or "/" in section):
            # The file with the keys of a section also names its endpoint.
            named = replace(next(iter(keys.values())), key="endpoint", text=section, is_here=False)
            profiles.append(SdkProfile(_free_name(section, profiles), named, keys))
    in_section = _keys(configuration.sections.get(default.text, {}))
    if in_section and not given:
        default = replace(default, is_here=False)
    profiles.append(SdkProfile(_free_name(default.text, profiles), default, in_section | given))
    return tuple(profile for profile in profiles if profile.keys)


def default_endpoint(configuration: SdkConfiguration) -> Entry:
    """The endpoint of the keys in the environment."""
    in_files = configuration.sections.get("default", {}).get("endpoint", DEFAULT_ENDPOINT)
    return configuration.environment.get("endpoint", in_files)


def asked_profile(configuration: SdkConfiguration) -> Entry | None:
    """The name of the requested default profile, if there is one."""
    in_files = configuration.sections.get("default", {}).get("profile")
    asked = configuration.environment.get("profile", in_files)
    # ovhcloud-cli's name for the keys of the default endpoint.
    return None if asked is None or asked.text == "default" else asked


def default_name(configuration: SdkConfiguration, profiles: tuple[SdkProfile, ...]) -> str | None:
    """The name of the default profile; None if there is none, or the requested one is unknown."""
    asked = asked_profile(configuration)
    if asked:
        return asked.text if any(profile.name == asked.text for profile in profiles) else None
    endpoint = default_endpoint(configuration).text
    unnamed = (profile for profile in profiles if not profile.is_named)
    return next((profile.name for profile in unnamed if profile.endpoint.text == endpoint), None)


def _keys(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {key: entry for key, entry in entries.items() if key in CREDENTIAL_NAMES}


def _free_name(endpoint: str, profiles: list[SdkProfile]) -> str:
    """A profile name for an endpoint: its name, or its host, numbered if that is taken."""
    if endpoint in ENDPOINTS:
        return endpoint
    host = endpoint.partition("://")[2].partition("/")[0]
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", host).strip("-._")[:60] or "base-url"
    taken = {profile.name for profile in profiles}
    names = (base, *(f"{base}-{number}" for number in range(2, len(taken) + 2)))
    return next(name for name in names if name not in taken)


def sdk_store(configuration: SdkConfiguration) -> tuple[Store | None, list[Problem]]:
    """The SDKs' configuration as a store, and its problems.

    The store is None, without problems, if there are no keys at all.
    """
    profiles = sdk_profiles_of(configuration)
    problems = list(configuration.problems)
    for profile in profiles:
        problems.extend(_profile_problems(profile))
    if profiles:
        problems.extend(_choice_problems(configuration, profiles))
    if problems or not profiles:
        return None, problems
    built = MappingProxyType({profile.name: _build_profile(profile) for profile in profiles})
    default = default_name(configuration, profiles)
    source = _sources(configuration, profiles)
    warnings = tuple(quoted_entries(profiles))
    return Store(built, default, source, configuration.files, True, warnings), []


def quoted_entries(profiles: tuple[SdkProfile, ...]) -> Iterator[str]:
    """The warnings about values that were in quotes."""
    entries = (e for profile in profiles for e in (profile.endpoint, *profile.keys.values()))
    places = (entry.place for entry in entries if entry.was_quoted)
    yield from map(quotes_warning, dict.fromkeys(places))


def _choice_problems(
    configuration: SdkConfiguration, profiles: tuple[SdkProfile, ...]
) -> Iterator[Problem]:
    """The problems between profiles, and those of the default."""
    for name, count in Counter(profile.name for profile in profiles).items():
        if count > 1:
            second = [profile for profile in profiles if profile.name == name][1]
            first_key = next(iter(second.keys.values()))
            message = f"duplicate profile name {shown(name)}; rename its [profile:…]"
            yield first_key.problem(name, message)
    asked, endpoint = asked_profile(configuration), default_endpoint(configuration)
    if asked and default_name(configuration, profiles) is None:
        names = [profile.name for profile in profiles]
        yield asked.problem("default", unknown("profile", asked.text, names, is_shown=None))
    has_keys = any(profile.endpoint.text == endpoint.text for profile in profiles)
    if asked is None and endpoint is not DEFAULT_ENDPOINT and not has_keys:
        message = f"no keys for endpoint {shown(endpoint.text)}; add them or change the endpoint"
        yield endpoint.problem("default", message)


def _profile_problems(profile: SdkProfile) -> Iterator[Problem]:
    """The problems of one profile."""
    first = next(iter(profile.keys.values()))
    if not NAME.fullmatch(profile.name):
        yield first.problem("?", invalid("profile name", profile.name, NAME_RULE))
    for name, message in credential_problems(profile.keys):
        yield profile.keys.get(name, replace(first, key=name)).problem(profile.name, message)
    for entry in profile.keys.values():
        try:
            parse_key(entry.text)
        except ValueError as failure:
            yield entry.problem(profile.name, str(failure))
    yield from _endpoint_problems(profile)


def _endpoint_problems(profile: SdkProfile) -> Iterator[Problem]:
    try:
        endpoint = parse_endpoint(check_endpoint(profile.endpoint.text))
    except ValueError as failure:
        yield profile.endpoint.problem(profile.name, str(failure))
        return
    client_id = profile.keys.get("client_id")
    if client_id and (problem := token_url_problem(endpoint)):
        yield client_id.problem(profile.name, problem)
    foreign = [entry for entry in profile.keys.values() if not entry.is_here]
    if profile.endpoint.is_here and foreign and endpoint.name not in ENDPOINTS:
        # Anyone who can write to the working directory could otherwise collect signatures.
        yield profile.endpoint.problem(
            profile.name,
            f"the base URL {shown(endpoint.base_url)} of ./ovh.conf is not used with keys from "
            f"{foreign[0].source}; set it in OVH_ENDPOINT or ~/.ovh.conf, or put all keys into "
            "./ovh.conf",
        )


def _build_profile(profile: SdkProfile) -> Profile:
    endpoint = parse_endpoint(profile.endpoint.text)
    values: dict[str, Any] = {key: parse_key(entry.text) for key, entry in profile.keys.items()}
    if "client_id" in profile.keys:
        values["client_id"] = profile.keys["client_id"].text
    return Profile(profile.name, endpoint, make_credential(values, endpoint))


def _sources(configuration: SdkConfiguration, profiles: tuple[SdkProfile, ...]) -> str:
    """The sources of the profiles, as a phrase: `OVH_* and ~/.ovh.conf`."""
    asked = asked_profile(configuration)
    used: list[Entry] = [asked] if asked else []
    for profile in profiles:
        used += [profile.endpoint, *profile.keys.values()]
    present = {entry.source for entry in used}
    names = [name for name in (ENVIRONMENT, *configuration.names) if name in present]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
