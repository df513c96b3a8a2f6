import pytest

from ovh_proxy.core.access_rules import (
    AccessRule,
    authorize_batch,
    batch_readings,
    parse_access_rule,
)
from ovh_proxy.core.errors import AccessDenied, BadTarget


def _rules(*texts: str) -> tuple[AccessRule, ...]:
    return tuple(rule for text in texts for rule in parse_access_rule(text))


@pytest.mark.parametrize(
    ("path", "separator", "readings"),
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
def test_a_path_stands_for_each_of_its_elements(
    path: str, separator: str, readings: tuple[str, ...]
) -> None:
    assert batch_readings(path, separator) == readings


def test_a_thousand_resources_are_read_and_more_are_refused() -> None:
    readings = batch_readings("/x/" + ",".join(["1"] * 1000), ",")

    assert len(readings) == 1000
    with pytest.raises(AccessDenied, match="more than 1000"):
        batch_readings("/x/" + ",".join(["1"] * 1001), ",")


def test_lists_in_many_segments_do_not_multiply_without_end() -> None:
    with pytest.raises(AccessDenied):
        batch_readings("/1,2" * 2000, ",")


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
        "another",
        "the second of two",
        "the first of two",
        "a letter",
        "empty",
    ],
)
def test_one_resource_that_is_not_granted_refuses_them_all(
    path: str, separators: list[bytes]
) -> None:
    with pytest.raises(AccessDenied, match="profile personal"):
        authorize_batch("GET", path, separators, [("profile personal", ZONE)])


@pytest.mark.parametrize("joined", [",,;", ",,%20;"])
def test_two_headers_joined_are_one_more_separator(joined: str) -> None:
    mid = joined.removesuffix(";")
    # All that either header by itself makes of it, and not `mid` alone.
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
def test_what_is_granted_each_by_itself_passes(path: str, separators: list[bytes]) -> None:
    authorize_batch("GET", path, separators, [("profile personal", ZONE), ("client ci", None)])


def test_every_holder_of_rules_has_to_grant_each() -> None:
    granted = [("profile personal", ZONE), ("client ci", _rules("GET /zone/*.org"))]

    with pytest.raises(AccessDenied, match="client ci"):
        authorize_batch("GET", "/zone/example.org,example.net", [b","], granted)


@pytest.mark.parametrize("path", ["/zone/ex,..", "/zone/ex,%2E%2E", "/zone,/ex"])
def test_an_element_that_makes_two_readings_is_refused(path: str) -> None:
    with pytest.raises(BadTarget):
        authorize_batch("GET", path, [b","], [("profile personal", _rules("GET /*"))])


def test_without_rules_any_batch_passes() -> None:
    authorize_batch("GET", "/zone/a,../b", [b",", b""], [("profile personal", None)])


def test_the_logout_does_not_hide_in_a_batch() -> None:
    with pytest.raises(AccessDenied, match="revoke"):
        authorize_batch("POST", "/auth/logout,x", [b","], [("profile personal", None)])
