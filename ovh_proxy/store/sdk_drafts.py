"""Which profiles the SDKs' configuration speaks of, before their values are looked at."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ovh_proxy.config.sdk_config import Entry, SdkConfiguration
from ovh_proxy.core.endpoints import ENDPOINTS
from ovh_proxy.store.credential_fields import CREDENTIAL_NAMES

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
