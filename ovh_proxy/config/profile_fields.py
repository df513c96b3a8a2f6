"""The credential store's keys: profiles, credentials, secrets, access rules."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from ovh_proxy.config.field_types import (
    Field,
    FieldType,
    Schema,
    T,
    list_of,
    mapped,
    mapping_of,
    parsed,
    text,
)
from ovh_proxy.config.nodes import Entries, Invalid, Items, NodeCursor, Scalar, invalid, missing
from ovh_proxy.config.secret_references import KINDS, Reference, Unresolved, parse_key
from ovh_proxy.core.access_rules import METHODS, AccessRule, parse_access_rule, reject_version
from ovh_proxy.core.credentials import (
    AccessToken,
    ApplicationCredential,
    Credential,
    ServiceAccount,
)
from ovh_proxy.core.endpoints import ENDPOINTS, Endpoint, parse_endpoint, parse_url
from ovh_proxy.core.redaction import shown, unknown
from ovh_proxy.core.secret import Secret
from ovh_proxy.core.settings import NAME, Profile

_DOCS = {
    "env": "Name of the environment variable with the secret.",
    "file": "File with nothing but the secret, relative to this file. A final newline is dropped.",
    "command": "Program and arguments that print the secret. No shell, at most 10 s.",
    "keyring": "Service and user name in the system's keyring (extra ovh-proxy[keyring]).",
}

_WORD = text(str)
_WORDS = list_of(_WORD, empty="empty list; write the program and its arguments")


def _reference_schema(kind: str) -> Schema:
    field_type = _WORDS.schema if kind in ("command", "keyring") else _WORD.schema
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [kind],
        "properties": {kind: {"description": _DOCS[kind], **field_type}},
    }


REFERENCE_SCHEMAS = tuple(_reference_schema(kind) for kind in KINDS)
# YAML and editors read a key of digits alone as a number; its text is taken as written.
_TEXT_SCHEMA: Schema = {"type": ["string", "number"], "minLength": 1, "pattern": "^[!#%&(-;>-~]+$"}


def read_reference(cursor: NodeCursor) -> Reference:
    """A mapping of exactly one kind of reference to where the secret is."""
    entries = cursor.entries()
    if len(entries) != 1:
        raise cursor.add_problem(
            f"a reference needs exactly one of {', '.join(KINDS)}, got {len(entries)} keys"
        )
    ((kind, argument),) = entries.items()
    if kind not in KINDS:
        raise cursor.add_problem(unknown("kind of reference", kind, KINDS, is_shown=None))
    if kind in ("command", "keyring"):
        return Reference(kind, _WORDS.read(argument))
    return Reference(kind, (_WORD.read(argument),))


def secret(of: Callable[[Secret], T]) -> FieldType[T]:
    """A secret as text or as a reference, converted by a function."""

    def read(cursor: NodeCursor) -> T:
        if isinstance(cursor.node, Entries):
            return of(parsed(cursor, parse_key, read_referenced(cursor).reveal()))
        return of(parsed(cursor, parse_key, cursor.text()))

    return FieldType(read, {"anyOf": [_TEXT_SCHEMA, *REFERENCE_SCHEMAS]})


def read_referenced(cursor: NodeCursor) -> Secret:
    """The secret that a reference points at."""
    found = cursor.context.secret(cursor.path, read_reference(cursor))
    if isinstance(found, Unresolved):
        raise cursor.add_problem(found.reason)
    return found


def revealed(secret: Secret) -> str:
    """The text of a value that may be a reference but is no secret, such as a client id."""
    return secret.reveal()


_SECRET, _PLAIN = secret(lambda value: value), secret(revealed)

CREDENTIAL_FIELDS = (
    Field("application_key", _SECRET, "Key of the application, from the createApp page."),
    Field("application_secret", _SECRET, "Secret of the application, made together with its key."),
    Field(
        "consumer_key",
        _SECRET,
        "Key for one account and its rights. Leave it out: `ovh-proxy login` requests one.",
    ),
    Field("client_id", _PLAIN, "Id of a service account (OAuth2)."),
    Field("client_secret", _SECRET, "Secret of the service account (OAuth2)."),
    Field("access_token", _SECRET, "Access token made elsewhere, such as a personal one."),
)

CREDENTIAL_NAMES = tuple(field.name for field in CREDENTIAL_FIELDS)
# The required and the optional keys of each kind.
_KINDS = (
    (("application_key", "application_secret"), ("consumer_key",)),
    (("client_id", "client_secret"), ()),
    (("access_token",), ()),
)

KIND_SCHEMAS = tuple({"required": list(needed)} for needed, _ in _KINDS)
_EACH = "application_key and application_secret, or client_id and client_secret, or access_token"


def credential_problems(present: Collection[str]) -> Iterator[tuple[str, str]]:
    """The problems of a combination of keys: the key ("" for none), and the message."""
    begun = [kind for kind in _KINDS if any(name in present for name in kind[0] + kind[1])]
    firsts = [next(name for name in kind[0] + kind[1] if name in present) for kind in begun]
    if not begun:
        yield "", f"no credential; set {_EACH}"
    elif len(begun) > 1:
        yield firsts[1], f"{' and '.join(firsts)} exclude each other; keep {_EACH}"
    else:
        for needed in begun[0][0]:
            if needed not in present:
                yield needed, missing(f"{firsts[0]} needs it")


def token_url_problem(endpoint: Endpoint) -> str | None:
    """Why a service account cannot be used at an endpoint; None if it can."""
    if endpoint.token_url is not None:
        return None
    for known in ENDPOINTS.values():
        if endpoint.base_url == known.base_url and known.token_url is not None:
            return (
                f"a service account cannot be used at a base URL without token_url; write "
                f"endpoint: {known.name} instead of {known.base_url}"
            )
    if endpoint.name in ENDPOINTS:
        return f"{endpoint.name} has no service accounts; use application keys or another endpoint"
    return "a service account at a base URL needs token_url, the URL that issues its access tokens"


def make_credential(values: Mapping[str, Any], endpoint: Endpoint) -> Credential:
    """The credential of fields without problems."""
    if "access_token" in values:
        return AccessToken(values["access_token"])
    if "client_id" in values:
        # token_url_problem has checked that there is one.
        return ServiceAccount(
            values["client_id"], values["client_secret"], endpoint.token_url or ""
        )
    return ApplicationCredential(
        values["application_key"], values["application_secret"], values.get("consumer_key")
    )


def _parse(rule: str) -> tuple[AccessRule, ...]:
    if rule in METHODS:
        raise ValueError(
            f'rule {shown(rule)} has no path; inside [ … ] quote commas: "GET,POST /path"'
        )
    return parse_access_rule(rule)


RULES: FieldType[tuple[AccessRule, ...]] = mapped(
    list_of(
        text(
            _parse,
            pattern=r"^(\*|read-only|read-write|(GET|POST|PUT|PATCH|DELETE)"
            r"(,(GET|POST|PUT|PATCH|DELETE))*)\s+/[^\s?#]*$",
        ),
        empty="an empty list allows no calls; remove access_rules to allow all calls, or list some",
    ),
    lambda lines: tuple(rule for line in lines for rule in line),
)


def report_versioned_rules(cursor: NodeCursor) -> None:
    """Reports rules that match nothing, because paths are matched without `/1.0` or `/v1`."""
    if not isinstance(cursor.node, Items):
        return
    for index, node in enumerate(cursor.node.items):
        for path in node.text.split(maxsplit=1)[1:] if isinstance(node, Scalar) else ():
            try:
                reject_version(path)
            except ValueError as failure:
                cursor.child(index, node).add_problem(str(failure))


NAME_RULE = "use 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"


def check_endpoint(written: str) -> str:
    """Returns the name or base URL of an endpoint as written.

    Raises:
        ValueError: it is neither; the text says what to write.
    """
    parse_endpoint(written)
    return written


def _check_profile(cursor: NodeCursor, values: Mapping[str, Any]) -> None:
    entries = cursor.entries()
    for name, message in credential_problems([key for key in entries if key in CREDENTIAL_NAMES]):
        at = entries.get(name) or (cursor.child(name, cursor.node) if name else cursor)
        at.add_problem(message)
    if "endpoint" not in values:
        return
    endpoint = parse_endpoint(values["endpoint"])
    if "token_url" in entries:
        if endpoint.name in ENDPOINTS or "client_id" not in entries:
            entries["token_url"].add_problem(
                "token_url is only for a service account at a base URL; remove it"
            )
    elif "client_id" in entries and (problem := token_url_problem(endpoint)):
        entries["client_id"].add_problem(problem)
    if endpoint.is_versioned and "access_rules" in entries:
        report_versioned_rules(entries["access_rules"])


_FIELDS: FieldType[dict[str, Any]] = mapping_of(
    dict,
    Field(
        "endpoint",
        FieldType(
            text(check_endpoint).read,
            {"anyOf": [{"enum": list(ENDPOINTS)}, {"type": "string", "pattern": "^https?://"}]},
        ),
        "OVHcloud API to call: a name, or a base URL such as https://eu.api.ovh.com/1.0.",
        required=True,
    ),
    *CREDENTIAL_FIELDS,
    Field(
        "token_url",
        text(parse_url, pattern="^https?://"),
        "URL that issues access tokens to a service account at a base URL.",
    ),
    Field(
        "access_rules",
        RULES,
        "The only calls that the profile may make. Leave it out to allow all calls.",
    ),
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
        raise cursor.add_problem("no profiles; `ovh-proxy login` makes one")
    read = {}
    for name, profile in entries.items():
        if not NAME.fullmatch(name):
            line = cursor.node.lines[name] if isinstance(cursor.node, Entries) else 0
            cursor.add_problem(invalid("profile name", name, NAME_RULE), line)
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
    name, known = cursor.text(), cursor.context.profiles
    if known is not None and name not in known:
        raise cursor.add_problem(unknown("profile", name, sorted(known), is_shown=None))
    return name


PROFILE_NAME: FieldType[str] = FieldType(
    _read_name, {"type": "string", "pattern": f"^{NAME.pattern}$"}
)

PROFILE_FIELDS = (
    Field("profile", PROFILE_NAME, "The only profile allowed here."),
    Field(
        "profiles",
        list_of(
            PROFILE_NAME,
            empty="an empty list allows no profile; list some, or remove the key to allow all",
        ),
        "The only profiles allowed here. The first is the default.",
    ),
)


def with_profiles_list(values: dict[str, Any]) -> dict[str, Any]:
    """Fields with `profile: NAME` written as `profiles: [NAME]`."""
    if "profile" in values:
        values["profiles"] = (values.pop("profile"),)
    return values


def report_both_profile_keys(cursor: NodeCursor) -> None:
    """Reports that `profile` and `profiles` are both present."""
    if {"profile", "profiles"} <= cursor.entries().keys():
        cursor.add_problem("profile and profiles exclude each other; keep one of them")


STORE: FieldType[dict[str, Any]] = mapping_of(
    dict,
    Field("default", PROFILE_NAME, "Profile of requests that do not name one."),
    Field("profiles", PROFILES, "Profiles by name. `ovh-proxy login` makes one.", required=True),
)
