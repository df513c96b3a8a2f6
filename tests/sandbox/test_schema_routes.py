"""The API's schema describes its routes."""

from typing import Any

import pytest

from ovh_proxy.sandbox.api import all_routes
from ovh_proxy.sandbox.grants import Grants
from ovh_proxy.sandbox.schema_routes import SECTIONS, is_within


@pytest.mark.parametrize(
    ("target", "base", "version"),
    [("/1.0/", "/1.0", "v1"), ("/v1", "/1.0", "v1"), ("/v2/", "/v2", "v2")],
)
@pytest.mark.asyncio
async def test_the_index_lists_every_section(
    client: Any, sandbox: Any, target: str, base: str, version: str
) -> None:
    index = (await client.send("GET", target)).json

    sections = [
        await client.send("GET", f"{base}{api['path']}.{api['format'][0]}") for api in index["apis"]
    ]

    assert index["basePath"] == f"{sandbox.url}{base}"
    assert [section.json["resourcePath"] for section in sections] == list(SECTIONS[version])
    assert all(section.json["apis"] for section in sections)


@pytest.mark.asyncio
async def test_an_operation_has_parameters_and_a_response_type(client: Any) -> None:
    section = (await client.send("GET", "/1.0/domain.json")).json

    paths = {api["path"]: api["operations"] for api in section["apis"]}
    listed, created = paths["/domain/zone/{zoneName}/record"]
    wanted = [(p["paramType"], p["name"], p["required"]) for p in listed["parameters"]]
    assert wanted == [
        ("path", "zoneName", True),
        ("query", "fieldType", False),
        ("query", "subDomain", False),
    ]
    assert (created["httpMethod"], created["responseType"]) == ("POST", "zone.Record")
    assert section["models"]["zone.Record"]["properties"]["ttl"]["type"] == "long"


@pytest.mark.asyncio
async def test_open_operations_are_marked(client: Any) -> None:
    section = (await client.send("GET", "/1.0/auth.json")).json

    open_paths = {
        api["path"] for api in section["apis"] if api["operations"][0]["noAuthentication"]
    }
    assert open_paths == {"/auth/time", "/auth/credential"}


def test_every_route_of_the_api_belongs_to_a_section() -> None:
    routes = [
        route for route in all_routes(Grants()) if route.version and "." not in route.template
    ]

    lost = [
        route.template
        for route in routes
        if route.template != "/"
        and not any(is_within(route.template, section) for section in SECTIONS[route.version])
    ]

    assert lost == []
