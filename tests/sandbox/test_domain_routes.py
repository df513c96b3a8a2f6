"""Zones and their records, as third-party clients read and change them."""

import json
from typing import Any

import pytest


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.asyncio
async def test_zones_are_returned(client: Any) -> None:
    names = await client.call("GET", "/1.0/domain/zone")
    zone = await client.call("GET", f"/1.0/domain/zone/{names.json[0]}")

    assert zone.json["name"] == names.json[0] == "example.org"


@pytest.mark.parametrize("path", ["/domain", "/domain/zone", "/domain/zone/"])
@pytest.mark.asyncio
async def test_domains_are_listed_with_and_without_a_final_slash(client: Any, path: str) -> None:
    response = await client.call("GET", f"/1.0{path}")

    assert response.json == ["example.org", "example.net"]


@pytest.mark.asyncio
async def test_a_zone_is_deployed(client: Any) -> None:
    response = await client.call("GET", "/1.0/domain/zone/example.org/status")

    assert response.json == {"isDeployed": True, "errors": [], "warnings": []}


@pytest.mark.parametrize("field_type", ["TLSA", "DKIM", "SVCB"])
@pytest.mark.asyncio
async def test_a_record_is_made_listed_changed_and_deleted(client: Any, field_type: str) -> None:
    records = "/1.0/domain/zone/example.org/record"
    named = f"{records}?fieldType={field_type}&subDomain=_a.b"

    made = await client.call(
        "POST", records, body=body(fieldType=field_type, subDomain="_a.b", target="old", ttl=60)
    )
    one = f"{records}/{made.json['id']}"
    listed = await client.call("GET", named)
    changed = await client.call("PUT", one, body=body(target="new"))
    shown = await client.call("GET", one)
    deleted = await client.call("DELETE", one)
    left = await client.call("GET", named)

    assert listed.json == [made.json["id"]]
    assert shown.json == {**made.json, "target": "new"}
    assert (changed.body, deleted.body, left.json) == (b"null", b"null", [])


@pytest.mark.asyncio
async def test_a_record_of_the_zone_itself_has_an_empty_name(client: Any) -> None:
    path = "/1.0/domain/zone/example.org/record"
    wanted = body(fieldType="A", target="192.0.2.7", subDomain=None, ttl=300)

    response = await client.call("POST", path, body=wanted)

    assert (response.json["subDomain"], response.json["ttl"], response.json["id"]) == ("", 300, 5)
