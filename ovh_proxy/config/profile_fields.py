"""A profile as the credential store writes it."""

from collections.abc import Mapping
from typing import Any

from ovh_proxy.config.field_types import FieldType, text
from ovh_proxy.config.nodes import Invalid, NodeCursor, nearest, suggestion
from ovh_proxy.core.endpoints import ENDPOINTS, parse_endpoint, parse_url
from ovh_proxy.core.settings import NAME, Profile
from ovh_proxy.store.credential_fields import (
    CREDENTIAL_FIELDS,
    CREDENTIAL_NAMES,
    KIND_SCHEMAS,
    credential_problems,
    make_credential,
    token_url_problem,
)
from ovh_proxy.store.nodes import Entries
from ovh_proxy.store.record import Field, mapping_of
from ovh_proxy.store.rule_fields import RULES, note_versioned_rules

NAME_RULE = "a name has 1 to 64 letters, digits, '.', '_' or '-', and begins with one of the former"


def check_endpoint(written: str) -> str:
    """A name or base URL, known to be good.

    Raises:
        ValueError: it is neither; the text says what to write.
    """
    try:
        parse_endpoint(written)
    except ValueError as failure:
        message = str(failure)
    else:
        return written
    raise ValueError(f"{message} {nearest(written, ENDPOINTS)}".strip())


def _check_profile(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    entries = cursor.entries()
    for name, message in credential_problems([key for key in entries if key in CREDENTIAL_NAMES]):
        at = entries.get(name) or (cursor.below(name, cursor.node) if name else cursor)
        at.add_problem(message)
    if "endpoint" not in values:
        return
    endpoint = parse_endpoint(values["endpoint"])
    if "token_url" in entries:
        if endpoint.name in ENDPOINTS or "client_id" not in entries:
            entries["token_url"].add_problem(
                "is for a service account at a base URL alone; leave it out"
            )
    elif "client_id" in entries and (problem := token_url_problem(endpoint)):
        entries["client_id"].add_problem(problem)
    if endpoint.is_versioned and "access_rules" in entries:
        note_versioned_rules(entries["access_rules"])


_FIELDS: FieldType[dict[str, Any]] = mapping_of(
    dict,
    Field(
        "endpoint",
        FieldType(
            text(check_endpoint).read,
            {"anyOf": [{"enum": list(ENDPOINTS)}, {"type": "string", "pattern": "^https?://"}]},
        ),
        "Where its calls go: a name, or a base URL such as https://eu.api.ovh.com/1.0.",
        required=True,
    ),
    *CREDENTIAL_FIELDS,
    Field(
        "token_url",
        text(parse_url, pattern="^https?://"),
        "Where a service account at a base URL asks for its access tokens.",
    ),
    Field("access_rules", RULES, "The only calls it may make; leave it out to grant all calls."),
    check=_check_profile,
    oneOf=KIND_SCHEMAS,
)


def _read_profile(cursor: NodeCursor) -> Profile:
    values = _FIELDS.read(cursor)
    endpoint = parse_endpoint(values["endpoint"], values.get("token_url"))
    return Profile(
        name=str(cursor.path[-1]),
        endpoint=endpoint,
        credential=make_credential(values, endpoint),
        access_rules=values.get("access_rules"),
    )


def _read_profiles(cursor: NodeCursor) -> dict[str, Profile]:
    entries = cursor.entries()
    if not entries:
        raise cursor.add_problem("no profile is there; `ovh-proxy login` makes one")
    read = {}
    for name, profile in entries.items():
        if not NAME.fullmatch(name):
            line = cursor.node.lines[name] if isinstance(cursor.node, Entries) else 0
            cursor.add_problem(f"a profile's name cannot be used: {NAME_RULE}", line)
        for value in profile.attempt(_read_profile):
            read[name] = value
    if len(read) < len(entries):
        raise Invalid
    return read


PROFILES: FieldType[dict[str, Profile]] = FieldType(
    _read_profiles,
    {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": _FIELDS.schema,
    },
)


def _read_name(cursor: NodeCursor) -> str:
    name, known = cursor.text(), cursor.reading.profiles
    if known is not None and name not in known:
        raise cursor.add_problem(f"names no profile; {suggestion(name, sorted(known))}")
    return name


PROFILE_NAME: FieldType[str] = FieldType(
    _read_name, {"type": "string", "pattern": f"^{NAME.pattern}$"}
)
PROFILE_NAMES_EMPTY = "no profile could be used; leave the key out for all profiles"


def one_or_several(values: dict[str, Any]) -> dict[str, Any]:
    """Fields with `profile: NAME` written as `profiles: [NAME]`."""
    if "profile" in values:
        values["profiles"] = (values.pop("profile"),)
    return values


def note_both(cursor: NodeCursor) -> None:
    """Notes that `profile` and `profiles` are both there."""
    if {"profile", "profiles"} <= cursor.entries().keys():
        cursor.add_problem("has both profile and profiles; keep one of them")
