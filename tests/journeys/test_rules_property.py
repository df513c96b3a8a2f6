"""Property test: every call that reached OVHcloud is allowed in every reading of its path."""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from types import MappingProxyType

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, event, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.raw import say
from support.running import RunningProxy, StartProxy

from ovh_proxy.core.access_rules import parse_access_rule
from ovh_proxy.core.settings import Settings
from ovh_proxy.sandbox.api import Sandbox
from ovh_proxy.sandbox.call import ReceivedRequest

# Rules as configured, and their documented meaning: methods (None is any) and a glob.
RULES = {
    "personal": {
        "GET /me": [({"GET"}, "/me")],
        "GET,PUT /me/bill/*": [({"GET", "PUT"}, "/me/bill/*")],
        "DELETE /me/*/end": [({"DELETE"}, "/me/*/end")],
        "* /sms/*": [(None, "/sms/*")],
        "read-only /domain": [({"GET"}, "/domain"), ({"GET"}, "/domain/*")],
        "GET /ip/192.0.2.0%2F24": [({"GET"}, "/ip/192.0.2.0%2F24")],
        "GET /v2/iam/*": [({"GET"}, "/v2/iam/*")],
        "POST /auth/*": [({"POST"}, "/auth/*")],
        "PATCH /cut/*2F": [({"PATCH"}, "/cut/*2F")],
    },
    "card": {"GET /me": [({"GET"}, "/me")], "POST /auth/logout": [({"POST"}, "/auth/logout")]},
}
METHODS = [
    *["GET"] * 4,
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "PURGE",
    "get",
    "TRACE",
]
STARTS = ["/me", "/me/bill/", "/domain/", "/sms/", "/ip/192.0.2.0%2F24"]
STARTS += ["/v2/iam/", "/auth/", "/"]
BEFORE = ["", "/1.0", "/v1", "/v2", "/@card", "/@personal", "/@card/1.0", "/@personal/v2", "/-"]
PIECES = [
    *"/.;,*+-~:@&=?#%\\ e1",
    *("//", "/./", "/../", "..;", "%2e", "%2E%2E", "%2F", "%2f", "%252F", "%25252e%25252e", "%5C"),
    *("%00", "%0a", "%0D%0A", "%7f", "%", "%zz", "%2", "%C3%A9", "\xe9", "\xc3\xa9", "%2C", "%2c"),
    *("me", "%6De", "ME", "bill", "end", "auth", "logout", "log%6fut", "time", "zone", "1.0", "v2"),
]
TAME = ["/", "me", "1,2", "~", "%20", "a", "?x=%2F", "%2F", ";", "%6d"]
TARGETS = st.builds(
    lambda before, start, pieces: before + start + "".join(pieces),
    st.sampled_from(BEFORE),
    st.sampled_from(STARTS),
    # Half of them are valid, so that enough are forwarded.
    st.lists(st.sampled_from(PIECES), max_size=6) | st.lists(st.sampled_from(TAME), max_size=3),
)
BATCHES = st.lists(st.sampled_from([",", "", "/", ";", "e", "%", "%2C", "~"]), max_size=2)


# -- the reference: slow and obvious


def decoded(path: str) -> str:
    """Decodes percent-escapes until nothing changes."""
    while (once := re.sub("%([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), path)) != path:
        path = once
    return path


def matches(pattern: str, path: str) -> bool:
    """Whether a glob matches, where `*` matches slashes too."""
    if not pattern:
        return not path
    if pattern[0] == "*":
        return any(matches(pattern[1:], path[i:]) for i in range(len(path) + 1))
    return path[:1] == pattern[0] and matches(pattern[1:], path[1:])


def is_granted(profile: str, method: str, reading: str) -> bool:
    method = "GET" if method == "HEAD" else method
    return any(
        (methods is None or method in methods)
        and (matches(pattern, reading) or matches(decoded(pattern), reading))
        for rules in RULES[profile].values()
        for methods, pattern in rules
    )


def rule_path(path: str) -> str:
    """Returns the path without version prefix for 1.0 and v1, with it for v2."""
    for version in ("/1.0", "/v1"):
        if path == version or path.startswith(f"{version}/"):
            return path.removeprefix(version) or "/"
    return path


def readings(path: str, separators: list[str]) -> Iterator[str]:
    """Returns the path as written and fully decoded, for each resource of a batch call."""
    yield path
    yield decoded(path)
    for separator in separators:
        texts = [decoded(segment) for segment in path.split("/")]
        split = [text.split(separator) if separator else [*text] or [""] for text in texts]
        yield from ("/".join(chosen) for chosen in product(*split))


def offences(request: ReceivedRequest) -> list[str]:
    """Returns what is wrong with a request that reached OVHcloud."""
    profile = "card" if request.header("Authorization") else "personal"
    whole = request.target.decode("latin-1").partition("?")[0]
    path, plain = rule_path(whole), decoded(whole)
    if (request.method, path) == ("GET", "/auth/time"):
        return []
    found = [
        f"{request.method} {reading} is not granted"
        for reading in readings(path, request.values("X-Ovh-Batch"))
        if not is_granted(profile, request.method, reading)
    ]
    segments = [segment.partition(";")[0] for segment in plain.split("/")]
    if {".", ".."} & {*segments} or "//" in plain or re.search(r"[\x00-\x1f\x7f\\]", plain):
        found.append("it has two readings")
    if request.method == "POST" and profile == "personal" and "logout" in segments:
        found.append("it is a logout that no rule names")
    return found


@pytest_asyncio.fixture
async def proxy(settings: Settings, start_proxy: StartProxy) -> RunningProxy:
    """Two profiles with a few rules each."""
    profiles = {
        name: replace(
            settings.store.profiles[name],
            access_rules=tuple(rule for text in texts for rule in parse_access_rule(text)),
        )
        for name, texts in RULES.items()
    }
    store = replace(settings.store, profiles=MappingProxyType(profiles))
    return await start_proxy(replace(settings, store=store))


@pytest.mark.asyncio
@given(st.sampled_from(METHODS), TARGETS, BATCHES)
@example("GET", "/me", [])
@example("GET", "/@card/1.0/me?x=/../", [])
@example("GET", "/me/bill/1,2", [","])
@example("GET", "/me,bill", [","])
@example("GET", "/sms/%252e%252e/me", [])
@example("GET", "/domain/..%2f..%2fip", [])
@example("GET", "/ip/192.0.2.0/24", [])
@example("GET", "/domain%2Fzone", [])
@example("POST", "/auth/logout", [])
@example("POST", "/auth/x,logout", [","])
@example("POST", "/@card/auth/logout", [])
@example("PUT", "/sms/%6d", [])
@example("PATCH", "/cut/a%2F", [])
@hypothesis_settings(
    max_examples=500,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_every_forwarded_call_is_allowed_in_every_reading(
    proxy: RunningProxy, sandbox: Sandbox, method: str, target: str, separators: list[str]
) -> None:
    batch = "".join(f"X-Ovh-Batch: {separator}\r\n" for separator in separators)
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{batch}\r\n"
    sandbox.requests.clear()

    response = await say(proxy.url, head.encode("latin-1"))

    received = [r for r in sandbox.requests if r.target != b"/1.0/auth/time"]
    event("reached" if received else f"refused: {response.code}")
    assert [offence for request in received for offence in offences(request)] == []
    assert not (received and response.code)


@pytest.mark.parametrize(
    ("method", "target", "batch", "is_fine"),
    [
        ("GET", b"/1.0/me", [], True),
        ("HEAD", b"/v1/me?a=//", [], True),
        ("GET", b"/1.0/domain%2Fzone", [], False),
        ("GET", b"/1.0/ip/192.0.2.0%2F24", [], True),
        ("GET", b"/1.0/ip/192.0.2.0%2f24", [], False),
        ("PUT", b"/1.0/me", [], False),
        ("GET", b"/v2/me", [], False),
        ("GET", b"/1.0/domain/%2e%2e/x", [], False),
        ("POST", b"/1.0/auth/logout", [], False),
        ("GET", b"/1.0/me/bill/1,2", [b","], True),
        ("DELETE", b"/1.0/me/1,2/end,x", [b","], False),
    ],
)
def test_the_reference_implementation_detects_violations(
    method: str, target: bytes, batch: list[bytes], is_fine: bool
) -> None:
    headers = tuple((b"X-Ovh-Batch", value) for value in batch)
    request = ReceivedRequest(method, target, "1.1", headers, b"")

    found = offences(request)

    assert (found == []) == is_fine
