"""Profiles out of what the official SDKs are configured with."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ovh_proxy.config.nodes import suggestion
from ovh_proxy.config.profile_fields import NAME_RULE, check_endpoint
from ovh_proxy.config.sdk_config import ENVIRONMENT, Entry, SdkConfiguration
from ovh_proxy.config.secret_references import parse_secret
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.settings import NAME, Profile, Store
from ovh_proxy.store.credential_fields import (
    credential_problems,
    make_credential,
    token_url_problem,
)
from ovh_proxy.store.sdk_drafts import (
    DEFAULT_ENDPOINT,
    SdkProfile,
    asked_profile,
    default_endpoint,
    default_name,
    sdk_profiles_of,
)


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
