import pytest

from ovh_proxy.core.access_rules import (
    AccessRule,
    authorize_batch,
    batch_paths,
    parse_access_rule,
)
from ovh_proxy.core.errors import AccessDenied, BadTarget
from ovh_proxy.core.target import decode_fully


def _rules(*texts: str) -> tuple[AccessRule, ...]:
    return tuple(rule for text in texts for rule in parse_access_rule(text))


@pytest.mark.parametrize(
    ("path", "separator", "paths"),
    [
        ("/me", ",", ()),
        ("/zone/a/record/1,2", ",", ("/zone/a/record/1", "/zone/a/record/2")),
        ("/zone/a/record/1%2C2", ",", ("/zone/a/record/1", "/zone/a/record/2")),
        ("/zone/a/record/1%252c2", ",", ("/zone/a/record/1", "/zone/a/record/2")),
        ("/zone/a,b/refresh", ",", ("/zone/a/refresh", "/zone/b/refresh")),
        ("/z/a,b/r/1,2", ",", ("/z/a/r/1", "/z/a/r/2", "/z/b/r/1", "/z/b/r/2")),
        ("/ip/10.0.0.0%2F8,10.1.0.0%2F16", ",", ("/ip/10.0.0.0%2F8", "/ip/10.1.0.0%2F16")),
        ("/ip/a%2Fb", "/", ("/ip/a", "/ip/b")),
        ("/x/1--2", "--", ("/x/1", "/x/2")),
        ("/x/1,2", ";", ()),
        ("/x/1,", ",", ("/x/1", "/x/")),
        ("/x/ab", "", ("/x/a", "/x/b")),
        ("/x/%E9,%3F", ",", ("/x/%E9", "/x/%3F")),
    ],
)
def test_a_batch_path_is_split_into_one_path_per_resource(
    path: str, separator: str, paths: tuple[str, ...]
) -> None:
    found = list(batch_paths(path, separator))

    assert tuple(raw for raw, _ in found) == paths
    assert all(decoded == decode_fully(raw) for raw, decoded in found)


def test_a_batch_may_name_a_thousand_resources_and_no_more() -> None:
    paths = list(batch_paths("/x/" + ",".join(["1"] * 1000), ","))

    assert len(paths) == 1000
    with pytest.raises(AccessDenied, match="at most 1000"):
        list(batch_paths("/x/" + ",".join(["1"] * 1001), ","))


def test_the_paths_of_a_batch_are_bounded_in_total() -> None:
    start = "/" + "x" * 630

    assert len(list(batch_paths(f"{start}/" + ",".join(["1"] * 100), ","))) == 100
    with pytest.raises(AccessDenied, match="at most 65536 bytes"):
        list(batch_paths(f"{start}/" + ",".join(["1"] * 104), ","))


def test_lists_in_many_segments_are_bounded() -> None:
    with pytest.raises(AccessDenied):
        list(batch_paths("/1,2" * 2000, ","))


ZONE = _rules("GET /zone/ex*")


@pytest.mark.parametrize(
    ("path", "separator"),
    [
        ("/zone/example.org,victim.org", b","),
        ("/zone/example.org%2Cvictim.org", b","),
        ("/zone/example.org;victim.org", b";"),
        ("/zone/exXvictim.org", b"X"),
        ("/zone/example.org", b""),
    ],
    ids=["comma", "escaped", "another separator", "a letter", "empty"],
)
def test_one_resource_without_a_rule_denies_the_batch(path: str, separator: bytes) -> None:
    with pytest.raises(AccessDenied, match="profile personal"):
        authorize_batch("GET", path, separator, [("profile personal", ZONE)])


@pytest.mark.parametrize(
    "path",
    ["/zone/example.org,example.net", "/zone/example.org", "/zone/example.org;victim.org"],
    ids=["each granted", "only one", "another separator"],
)
def test_a_batch_passes_if_each_resource_is_granted(path: str) -> None:
    authorize_batch("GET", path, b",", [("profile personal", ZONE), ("client ci", None)])


def test_every_holder_of_rules_must_grant_each_resource() -> None:
    granted = [("profile personal", ZONE), ("client ci", _rules("GET /zone/*.org"))]

    with pytest.raises(AccessDenied, match="client ci"):
        authorize_batch("GET", "/zone/example.org,example.net", b",", granted)


@pytest.mark.parametrize("path", ["/zone/ex,..", "/zone/ex,%2E%2E", "/zone,/ex"])
def test_an_element_that_makes_the_path_ambiguous_is_rejected(path: str) -> None:
    with pytest.raises(BadTarget):
        authorize_batch("GET", path, b",", [("profile personal", _rules("GET /*"))])


def test_without_rules_any_batch_passes() -> None:
    authorize_batch("GET", "/zone/a,../b", b",", [("profile personal", None)])


def test_a_logout_in_a_batch_is_denied() -> None:
    with pytest.raises(AccessDenied, match="revoke"):
        authorize_batch("POST", "/auth/logout,x", b",", [("profile personal", None)])
