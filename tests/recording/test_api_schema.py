import json

import pytest

from ovh_proxy.core.endpoints import parse_endpoint
from ovh_proxy.core.target import split_version
from ovh_proxy.recording.api_schema import (
    Templates,
    read_index,
    read_section,
    schema_base,
    sections_above,
)

TEMPLATES = Templates(
    (
        "/domain/zone",
        "/domain/zone/{zoneName}",
        "/domain/zone/{zoneName}/record",
        "/domain/zone/{zoneName}/record/{id}",
        "/domain/zone/{name}/refresh",
        "/domain/{serviceName}/task/{id}",
        "/domain/data/smd",
    )
)


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/domain/zone", "/domain/zone"),
        ("/domain/zone/plain-name", "/domain/zone/*"),
        ("/domain/zone/example.org/record/1", "/domain/zone/*/record/*"),
        ("/domain/zone/example.org/record/1,2,3", "/domain/zone/*/record/*"),
        ("/domain/zone/example.org/refresh", "/domain/zone/*/refresh"),
        ("/domain/zone/*/record", "/domain/zone/*/record"),
        ("/domain/zone/a%2Fb/record", "/domain/zone/*/record"),
        # `zone` is a literal in other templates; only the variable matches the whole path.
        ("/domain/zone/task/7", "/domain/*/task/*"),
    ],
)
def test_a_pattern_has_a_star_for_each_variable_of_the_template(path: str, pattern: str) -> None:
    assert TEMPLATES.pattern(path) == pattern


@pytest.mark.parametrize(
    "path",
    [
        "/domain",
        "/domain/zone/",
        "/domain/zone/x/record/1/more",
        "/domain/zone/x/unknown",
        "/domain//task/1",
        "/me",
    ],
)
def test_a_path_without_a_template_has_no_pattern(path: str) -> None:
    assert TEMPLATES.pattern(path) is None


@pytest.mark.parametrize(
    ("path", "version", "rest"),
    [
        ("/me", "", "/me"),
        ("/v2/iam/policy", "/v2", "/iam/policy"),
        ("/v2", "/v2", "/"),
        ("/1.0/me", "/1.0", "/me"),
        ("/v2foo", "", "/v2foo"),
    ],
)
def test_the_version_is_split_from_the_path(path: str, version: str, rest: str) -> None:
    assert split_version(path) == (version, rest)


@pytest.mark.parametrize(
    ("endpoint", "version", "base"),
    [
        ("ovh-eu", "", "https://eu.api.ovh.com/1.0"),
        ("ovh-eu", "/v2", "https://eu.api.ovh.com/v2"),
        ("https://gateway.example/ovh", "", "https://gateway.example/ovh"),
        ("https://gateway.example/ovh", "/1.0", "https://gateway.example/ovh/1.0"),
    ],
)
def test_the_schema_is_at_the_endpoint_of_the_calls(endpoint: str, version: str, base: str) -> None:
    assert schema_base(parse_endpoint(endpoint), version) == base


@pytest.mark.parametrize(
    ("path", "sections"),
    [
        ("/domain/zone/a", ("/domain/zone/a", "/domain/zone", "/domain")),
        ("/ip/1.2.3.0%2F24", ("/ip",)),
        ("/me/../etc", ("/me",)),
        ("/", ()),
    ],
)
def test_only_plain_segments_become_sections(path: str, sections: tuple[str, ...]) -> None:
    assert sections_above(path) == sections


def test_an_index_lists_its_sections() -> None:
    index = {
        "apis": [
            {"path": "/me", "schema": "{path}.{format}"},
            {"path": "/domain/zone"},
            {"path": "/../etc"},
            {"path": "/me/../../etc"},
            {"path": 7},
            "text",
        ]
    }

    assert read_index(json.dumps(index)) == {"/me", "/domain/zone"}


def test_a_section_has_the_templates_with_operations() -> None:
    section = {"apis": [{"path": "/me/{id}", "operations": [{}]}, {"path": "/other"}]}

    templates = read_section(json.dumps(section).encode())

    assert (templates.pattern("/me/x"), templates.pattern("/other")) == ("/me/*", None)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"apis": {}}', b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "html", "list", "no apis", "apis no list", "no text", "nested without end"],
)
def test_an_invalid_schema_is_rejected(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's error is a ValueError too
        read_section(body)
