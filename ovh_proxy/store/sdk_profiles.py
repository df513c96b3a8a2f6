"""Profiles out of what the official SDKs are configured with."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint
from ovh_proxy.core.errors import Problem
from ovh_proxy.core.profile import NAME, Profile
from ovh_proxy.core.settings import Store
from ovh_proxy.store.credential_fields import (
    credential_problems,
    make_credential,
    token_url_problem,
)
from ovh_proxy.store.ovh_conf import ENVIRONMENT, Entry, SdkConfiguration
from ovh_proxy.store.place import suggestion
from ovh_proxy.store.profile_fields import NAME_RULE, check_endpoint
from ovh_proxy.store.references import parse_secret
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
    drafts = sdk_profiles_of(configuration)
    problems = list(configuration.problems)
    for draft in drafts:
        problems.extend(_draft_problems(draft))
    if drafts:
        problems.extend(_choice_problems(configuration, drafts))
    if problems or not drafts:
        return None, problems
    profiles = {draft.name: _profile(draft) for draft in drafts}
    default = default_name(configuration, drafts)
    source = _sources(configuration, drafts)
    return Store(MappingProxyType(profiles), default, source, configuration.files, True), []


def _choice_problems(
    configuration: SdkConfiguration, drafts: tuple[SdkProfile, ...]
) -> Iterator[Problem]:
    """What is wrong between the profiles, or with the choice of the default."""
    for name, times in Counter(draft.name for draft in drafts).items():
        if times > 1:
            second = [draft for draft in drafts if draft.name == name][1]
            first_key = next(iter(second.keys.values()))
            yield first_key.problem(name, "two profiles have this name; rename [profile:…]")
    asked, endpoint = asked_profile(configuration), default_endpoint(configuration)
    if asked and default_name(configuration, drafts) is None:
        names = [draft.name for draft in drafts]
        yield asked.problem("default", f"names no profile; {suggestion(asked.text, names)}")
    has_keys = any(draft.endpoint.text == endpoint.text for draft in drafts)
    if asked is None and endpoint is not DEFAULT_ENDPOINT and not has_keys:
        yield endpoint.problem("default", "no keys are there for this endpoint; add them")


def _draft_problems(draft: SdkProfile) -> Iterator[Problem]:
    """All that is wrong with one profile."""
    first = next(iter(draft.keys.values()))
    if not NAME.fullmatch(draft.name):
        yield first.problem("?", f"its profile's name cannot be used: {NAME_RULE}")
    for name, message in credential_problems(draft.keys):
        yield draft.keys.get(name, replace(first, key=name)).problem(draft.name, message)
    for entry in draft.keys.values():
        try:
            parse_secret(entry.text)
        except ValueError as failure:
            yield entry.problem(draft.name, str(failure))
    yield from _endpoint_problems(draft)


def _endpoint_problems(draft: SdkProfile) -> Iterator[Problem]:
    try:
        endpoint = parse_endpoint(check_endpoint(draft.endpoint.text))
    except ValueError as failure:
        yield draft.endpoint.problem(draft.name, str(failure))
        return
    client_id = draft.keys.get("client_id")
    if client_id and (problem := token_url_problem(endpoint)):
        yield client_id.problem(draft.name, problem)
    foreign = [entry for entry in draft.keys.values() if not entry.is_here]
    if draft.endpoint.is_here and foreign and endpoint.name not in ENDPOINTS:
        # Whoever can write into the directory that we are started in would collect signatures.
        yield draft.endpoint.problem(
            draft.name,
            f"a base URL of ./ovh.conf is not used with keys from {foreign[0].source}; name it in "
            "OVH_ENDPOINT or ~/.ovh.conf, or put all its keys beside it",
        )


def _profile(draft: SdkProfile) -> Profile:
    endpoint = parse_endpoint(draft.endpoint.text)
    values: dict[str, Any] = {key: parse_secret(entry.text) for key, entry in draft.keys.items()}
    if "client_id" in draft.keys:
        values["client_id"] = draft.keys["client_id"].text
    return Profile(draft.name, endpoint, make_credential(values, endpoint))


def _sources(configuration: SdkConfiguration, drafts: tuple[SdkProfile, ...]) -> str:
    """Where something of it comes from, as a sentence names it: `OVH_* and ~/.ovh.conf`."""
    asked = asked_profile(configuration)
    used: list[Entry] = [asked] if asked else []
    for draft in drafts:
        used += [draft.endpoint, *draft.keys.values()]
    there = {entry.source for entry in used}
    names = [name for name in (ENVIRONMENT, *configuration.names) if name in there]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
