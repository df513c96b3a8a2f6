"""The official SDKs' `ovh.conf` and `OVH_*`: read, and turned into profiles.

Taken is what python-ovh and go-ovh agree on: keys of the environment over `./ovh.conf` over
`~/.ovh.conf` over `/etc/ovh.conf`, one by one, empty ones ignored.
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
from ovh_proxy.config.nodes import suggestion
from ovh_proxy.config.profile_fields import (
    CREDENTIAL_NAMES,
    NAME_RULE,
    check_endpoint,
    credential_problems,
    make_credential,
    token_url_problem,
)
from ovh_proxy.config.secret_references import parse_secret
from ovh_proxy.config.sources import Sources, conf_files
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.settings import NAME, Profile, Store

ENVIRONMENT = "OVH_*"

VARIABLES = {key: f"OVH_{key.upper()}" for key in ("endpoint", "profile", *CREDENTIAL_NAMES)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One value, and where it was found.

    Attributes:
        source: a file as a person names it, or ENVIRONMENT.
        line: 0 for a variable.
        is_here: whether it is from `./ovh.conf`, which anybody may have put there.
    """

    key: str
    text: str = field(repr=False)
    source: str
    line: int = 0
    is_here: bool = False

    def problem(self, profile: str, message: str) -> Problem:
        """What is wrong with it, at its place."""
        if self.source == ENVIRONMENT:
            return Problem("environment", 0, VARIABLES[self.key], message)
        return Problem(self.source, self.line, f"{profile}.{self.key}", message)


@dataclass(frozen=True, slots=True)
class SdkConfiguration:
    """What the SDKs would read, before any of it is understood.

    Attributes:
        sections: of all files in one, the strongest file's value of each key.
        names: the files as a person knows them, the strongest first.
        files: absolute paths of those that are there.
    """

    sections: Mapping[str, Mapping[str, Entry]]
    environment: Mapping[str, Entry]
    names: tuple[str, ...]
    files: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_sdk_configuration(sources: Sources) -> SdkConfiguration:
    """All that the SDKs would read here."""
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
    """What one file says, by whatever name, and no variable."""
    sections: dict[str, dict[str, Entry]] = {}
    problems: list[Problem] = []
    for section, entry in _read_file(name, Path(name), problems):
        sections.setdefault(section, {})[entry.key] = entry
    return SdkConfiguration(sections, {}, (name,), (os.path.abspath(name),), tuple(problems))


def read_variables(environ: Mapping[str, str]) -> dict[str, Entry]:
    """The SDKs' variables that are not empty, by the key they stand for."""
    present = ((key, environ.get(name)) for key, name in VARIABLES.items())
    return {key: Entry(key, text, ENVIRONMENT) for key, text in present if text}


def _read_file(name: str, path: Path, problems: list[Problem]) -> Iterator[tuple[str, Entry]]:
    try:
        yield from read_conf(read_text(str(path)), name)
    except Unreadable as failure:
        problems.append(Problem(name, 0, "", str(failure)))
    except configparser.Error as failure:
        problems.extend(_malformed(failure, name))


def read_conf(text: str, name: str) -> Iterator[tuple[str, Entry]]:
    """The entries of one file that are not empty, each with its section.

    Raises:
        configparser.Error: malformed; its text quotes the file.
    """
    # [DEFAULT] is magic to python-ovh alone; a name that no section can have turns it off.
    parser = configparser.RawConfigParser(default_section="]")
    parser.read_string(text)
    lines = _lines(text)
    for section in parser.sections():
        for key, value in parser.items(section):
            if cleaned := _clean(value):
                line = lines.get((section, key), 0)
                yield section, Entry(key, cleaned, name, line, is_here=name == "./ovh.conf")


def _clean(value: str) -> str:
    # go-ovh takes quotes and comments off, python-ovh does not; no key has either.
    bare = re.sub(r"(^|\s+)[;#].*", "", value)
    quoted = len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'"
    return bare[1:-1] if quoted else bare


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Where each key stands, which configparser does not tell."""
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
        configparser.DuplicateSectionError: "this section is there twice; make them one",
        configparser.DuplicateOptionError: "this key is there twice in its section; keep one",
        configparser.MissingSectionHeaderError: "comes before any [section]; add its header",
    }
    reason = reasons.get(type(failure), "is neither [section] nor key = value; correct the line")
    errors = getattr(failure, "errors", [(getattr(failure, "lineno", 0), "")])
    for line, _ in errors:
        yield Problem(name, line or 0, "", reason)


# go-ovh's default; python-ovh has none and asks for one.
DEFAULT_ENDPOINT = Entry("endpoint", "ovh-eu", "the default")

_PREFIX = "profile:"


@dataclass(frozen=True, slots=True)
class SdkProfile:
    """A profile to be; its endpoint is one value of several sources, as its keys are.

    Attributes:
        keys: the fields of its credential; there is at least one.
        is_named: whether it is a `[profile:NAME]`, not an endpoint's own.
    """

    name: str
    endpoint: Entry
    keys: dict[str, Entry]
    is_named: bool = False


def sdk_profiles_of(configuration: SdkConfiguration) -> tuple[SdkProfile, ...]:
    """One a section of an endpoint, one a `[profile:NAME]`, and the environment's keys."""
    default = default_endpoint(configuration)
    given = _keys(configuration.environment)
    sdk_profiles: list[SdkProfile] = []
    for section, entries in configuration.sections.items():
        keys = _keys(entries)
        if section.startswith(_PREFIX):
            name = section.removeprefix(_PREFIX).strip()
            sdk_profiles.append(
                SdkProfile(name, entries.get("endpoint", default), keys, is_named=True)
            )
        elif section != default.text and keys and (section in ENDPOINTS or "/" in section):
            # A section is bound to its endpoint by the very file that its keys are from.
            named = replace(next(iter(keys.values())), key="endpoint", text=section, is_here=False)
            sdk_profiles.append(SdkProfile(_free_name(section, sdk_profiles), named, keys))
    in_section = _keys(configuration.sections.get(default.text, {}))
    if in_section and not given:
        default = replace(default, is_here=False)
    sdk_profiles.append(
        SdkProfile(_free_name(default.text, sdk_profiles), default, in_section | given)
    )
    return tuple(sdk_profile for sdk_profile in sdk_profiles if sdk_profile.keys)


def default_endpoint(configuration: SdkConfiguration) -> Entry:
    """The endpoint that the environment's keys are for."""
    in_files = configuration.sections.get("default", {}).get("endpoint", DEFAULT_ENDPOINT)
    return configuration.environment.get("endpoint", in_files)


def asked_profile(configuration: SdkConfiguration) -> Entry | None:
    """The profile that is to be the default, if one is named."""
    in_files = configuration.sections.get("default", {}).get("profile")
    asked = configuration.environment.get("profile", in_files)
    # ovhcloud-cli's name for the keys of the default endpoint.
    return None if asked is None or asked.text == "default" else asked


def default_name(
    configuration: SdkConfiguration, sdk_profiles: tuple[SdkProfile, ...]
) -> str | None:
    """The name of the default profile; None when there is none, or none of the name asked for."""
    asked = asked_profile(configuration)
    if asked:
        return next(
            (sdk_profile.name for sdk_profile in sdk_profiles if sdk_profile.name == asked.text),
            None,
        )
    endpoint = default_endpoint(configuration).text
    own = (sdk_profile for sdk_profile in sdk_profiles if not sdk_profile.is_named)
    return next(
        (sdk_profile.name for sdk_profile in own if sdk_profile.endpoint.text == endpoint), None
    )


def _keys(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {key: entry for key, entry in entries.items() if key in CREDENTIAL_NAMES}


def _free_name(endpoint: str, sdk_profiles: list[SdkProfile]) -> str:
    """A profile's name for an endpoint: its own, or its host with a number where that is taken."""
    if endpoint in ENDPOINTS:
        return endpoint
    host = endpoint.partition("://")[2].partition("/")[0]
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", host).strip("-._")[:60] or "base-url"
    taken = {sdk_profile.name for sdk_profile in sdk_profiles}
    names = (base, *(f"{base}-{number}" for number in range(2, len(taken) + 2)))
    return next(name for name in names if name not in taken)


def sdk_store(configuration: SdkConfiguration) -> tuple[Store | None, list[Problem]]:
    """The store that the SDKs' configuration amounts to, and what is wrong with it.

    It is None, without problems, when there are no keys at all.
    """
    sdk_profiles = sdk_profiles_of(configuration)
    problems = list(configuration.problems)
    for sdk_profile in sdk_profiles:
        problems.extend(_draft_problems(sdk_profile))
    if sdk_profiles:
        problems.extend(_choice_problems(configuration, sdk_profiles))
    if problems or not sdk_profiles:
        return None, problems
    profiles = {sdk_profile.name: _profile(sdk_profile) for sdk_profile in sdk_profiles}
    default = default_name(configuration, sdk_profiles)
    source = _sources(configuration, sdk_profiles)
    return Store(MappingProxyType(profiles), default, source, configuration.files, True), []


def _choice_problems(
    configuration: SdkConfiguration, sdk_profiles: tuple[SdkProfile, ...]
) -> Iterator[Problem]:
    """What is wrong between the profiles, or with the choice of the default."""
    for name, times in Counter(sdk_profile.name for sdk_profile in sdk_profiles).items():
        if times > 1:
            second = [sdk_profile for sdk_profile in sdk_profiles if sdk_profile.name == name][1]
            first_key = next(iter(second.keys.values()))
            yield first_key.problem(name, "two profiles have this name; rename [profile:…]")
    asked, endpoint = asked_profile(configuration), default_endpoint(configuration)
    if asked and default_name(configuration, sdk_profiles) is None:
        names = [sdk_profile.name for sdk_profile in sdk_profiles]
        yield asked.problem("default", f"names no profile; {suggestion(asked.text, names)}")
    has_keys = any(sdk_profile.endpoint.text == endpoint.text for sdk_profile in sdk_profiles)
    if asked is None and endpoint is not DEFAULT_ENDPOINT and not has_keys:
        yield endpoint.problem("default", "no keys are there for this endpoint; add them")


def _draft_problems(sdk_profile: SdkProfile) -> Iterator[Problem]:
    """All that is wrong with one profile."""
    first = next(iter(sdk_profile.keys.values()))
    if not NAME.fullmatch(sdk_profile.name):
        yield first.problem("?", f"its profile's name cannot be used: {NAME_RULE}")
    for name, message in credential_problems(sdk_profile.keys):
        yield sdk_profile.keys.get(name, replace(first, key=name)).problem(
            sdk_profile.name, message
        )
    for entry in sdk_profile.keys.values():
        try:
            parse_secret(entry.text)
        except ValueError as failure:
            yield entry.problem(sdk_profile.name, str(failure))
    yield from _endpoint_problems(sdk_profile)


def _endpoint_problems(sdk_profile: SdkProfile) -> Iterator[Problem]:
    try:
        endpoint = parse_endpoint(check_endpoint(sdk_profile.endpoint.text))
    except ValueError as failure:
        yield sdk_profile.endpoint.problem(sdk_profile.name, str(failure))
        return
    client_id = sdk_profile.keys.get("client_id")
    if client_id and (problem := token_url_problem(endpoint)):
        yield client_id.problem(sdk_profile.name, problem)
    foreign = [entry for entry in sdk_profile.keys.values() if not entry.is_here]
    if sdk_profile.endpoint.is_here and foreign and endpoint.name not in ENDPOINTS:
        # Whoever can write into the directory that we are started in would collect signatures.
        yield sdk_profile.endpoint.problem(
            sdk_profile.name,
            f"a base URL of ./ovh.conf is not used with keys from {foreign[0].source}; name it in "
            "OVH_ENDPOINT or ~/.ovh.conf, or put all its keys beside it",
        )


def _profile(sdk_profile: SdkProfile) -> Profile:
    endpoint = parse_endpoint(sdk_profile.endpoint.text)
    values: dict[str, Any] = {
        key: parse_secret(entry.text) for key, entry in sdk_profile.keys.items()
    }
    if "client_id" in sdk_profile.keys:
        values["client_id"] = sdk_profile.keys["client_id"].text
    return Profile(sdk_profile.name, endpoint, make_credential(values, endpoint))


def _sources(configuration: SdkConfiguration, sdk_profiles: tuple[SdkProfile, ...]) -> str:
    """Where something of it comes from, as a sentence names it: `OVH_* and ~/.ovh.conf`."""
    asked = asked_profile(configuration)
    used: list[Entry] = [asked] if asked else []
    for sdk_profile in sdk_profiles:
        used += [sdk_profile.endpoint, *sdk_profile.keys.values()]
    there = {entry.source for entry in used}
    names = [name for name in (ENVIRONMENT, *configuration.names) if name in there]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
