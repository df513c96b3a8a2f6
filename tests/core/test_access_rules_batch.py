import pytest

from ovh_proxy.core.access_rules import (
    AccessRule,
    authorize_batch,
    batch_paths,
    parse_access_rule,
)
from ovh_proxy.core.errors import AccessDenied, BadTarget


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
    assert batch_paths(path, separator) == paths


def test_a_batch_may_name_a_thousand_resources_and_no_more() -> None:
    paths = batch_paths("/x/" + ",".join(["1"] * 1000), ",")

    assert len(paths) == 1000
    with pytest.raises(AccessDenied, match="at most 1000"):
        batch_paths("/x/" + ",".join(["1"] * 1001), ",")


def test_lists_in_many_segments_are_bounded() -> None:
    with pytest.raises(AccessDenied):
        batch_paths("/1,2" * 2000, ",")


ZONE = _rules("GET /zone/ex*")


@pytest.mark.parametrize(
    ("path", "separators"),
    [
        ("/zone/example.org,victim.org", [b","]),
        ("/zone/example.org%2Cvictim.org", [b","]),
        ("/zone/example.org;victim.org", [b";"]),
        ("/zone/example.org;victim.org", [b",", b";"]),
        ("/zone/example.org;victim.org", [b";", b","]),
        ("/zone/exXvictim.org", [b"X"]),
        ("/zone/example.org", [b""]),
    ],
    ids=[
        "comma",
        "escaped",
        "another separator",
        "the second of two",
        "the first of two",
        "a letter",
        "empty",
    ],
)
def test_one_resource_without_a_rule_denies_the_batch(path: str, separators: list[bytes]) -> None:
    with pytest.raises(AccessDenied, match="profile personal"):
        authorize_batch("GET", path, separators, [("profile personal", ZONE)])


@pytest.mark.parametrize("joined", [",,;", ",,%20;"])
def test_two_headers_are_also_joined_to_one_separator(joined: str) -> None:
    mid = joined.removesuffix(";")
    # Grants every path that one of the headers by itself leads to, but not `mid`.
    rules = _rules(
        "GET /zone/ex*", "GET /zone/", f"GET /zone/{joined[2:-1]};*", f"GET /zone/mid{mid}"
    )

    with pytest.raises(AccessDenied, match=r"/zone/mid$"):
        authorize_batch(
            "GET", f"/zone/exa{joined}mid{joined}exb", [b",", b";"], [("client ci", rules)]
        )


@pytest.mark.parametrize(
    ("path", "separators"),
    [
        ("/zone/example.org,victim.org", []),
        ("/zone/example.org,example.net", [b","]),
        ("/zone/example.org", [b","]),
        ("/zone/example.org;victim.org", [b","]),
    ],
    ids=["no batch", "each granted", "only one", "another separator"],
)
def test_a_batch_passes_if_each_resource_is_granted(path: str, separators: list[bytes]) -> None:
    authorize_batch("GET", path, separators, [("profile personal", ZONE), ("client ci", None)])


def test_every_holder_of_rules_must_grant_each_resource() -> None:
    granted = [("profile personal", ZONE), ("client ci", _rules("GET /zone/*.org"))]

    with pytest.raises(AccessDenied, match="client ci"):
        authorize_batch("GET", "/zone/example.org,example.net", [b","], granted)


@pytest.mark.parametrize("path", ["/zone/ex,..", "/zone/ex,%2E%2E", "/zone,/ex"])
def test_an_element_that_makes_the_path_ambiguous_is_rejected(path: str) -> None:
    with pytest.raises(BadTarget):
        authorize_batch("GET", path, [b","], [("profile personal", _rules("GET /*"))])


def test_without_rules_any_batch_passes() -> None:
    authorize_batch("GET", "/zone/a,../b", [b",", b""], [("profile personal", None)])


def test_a_logout_in_a_batch_is_denied() -> None:
    with pytest.raises(AccessDenied, match="revoke"):
        authorize_batch("POST", "/auth/logout,x", [b","], [("profile personal", None)])
