"""The account's bills, machines, policies and names."""

import json
from typing import Any

import pytest

from ovh_proxy.sandbox.account_routes import BILLS, SERVERS
from ovh_proxy.sandbox.api import Sandbox

SERVER = next(iter(SERVERS))
POLICIES = "/v2/iam/policy"


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.asyncio
async def test_a_bill_has_what_the_list_promises(client: Any) -> None:
    ids = (await client.call("GET", "/1.0/me/bill")).json

    bill = (await client.call("GET", f"/1.0/me/bill/{ids[0]}")).json

    assert ids == list(BILLS)
    assert bill["billId"] == ids[0]
    assert bill["priceWithTax"] == {"value": 11.99, "currencyCode": "EUR", "text": "11.99 €"}
    assert bill["pdfUrl"].startswith("https://")


@pytest.mark.asyncio
async def test_there_are_servers_in_three_datacentres(client: Any) -> None:
    names = (await client.call("GET", "/1.0/dedicated/server")).json

    servers = [(await client.call("GET", f"/1.0/dedicated/server/{name}")).json for name in names]

    places = [server["datacenter"] for server in servers]
    assert set(places) == {"sbg1", "rbx2", "gra1"}
    assert places.count("sbg1") >= 2


@pytest.mark.asyncio
async def test_burst_of_one_server_is_switched(client: Any) -> None:
    path = f"/1.0/dedicated/server/{SERVER}/burst"

    before = await client.call("GET", path)
    put = await client.call("PUT", path, body=body(status="active"))
    after = await client.call("GET", path)

    assert (before.json["status"], after.json["status"]) == ("inactive", "active")
    assert (put.status, put.body) == (200, b"null")


@pytest.mark.asyncio
async def test_runaboves_instances_have_all_fields(client: Any) -> None:
    response = await client.call("GET", "/1.0/instance")

    assert [instance["name"] for instance in response.json] == ["web", "db"]


@pytest.mark.asyncio
async def test_policies_come_page_by_page(client: Any) -> None:
    names, cursor, pages = [], "", 0
    while cursor is not None:
        headers = [("X-Pagination-Size", "2")]
        headers += [("X-Pagination-Cursor", cursor)] if cursor else []
        page = await client.call("GET", POLICIES, headers)
        names += [policy["name"] for policy in page.json]
        cursor, pages = page.headers.get("X-Pagination-Cursor-Next"), pages + 1

    assert pages == 3
    assert names == ["dns-read", "dns-write", "billing", "servers", "vps-reboot"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Pagination-Size", "0"),
        ("X-Pagination-Size", "many"),
        ("X-Pagination-Cursor", "x"),
        ("X-Pagination-Cursor", "/w=="),
        ("X-Pagination-Cursor", "cG9saWN5Og=="),
    ],
)
@pytest.mark.asyncio
async def test_an_invalid_page_is_refused(client: Any, name: str, value: str) -> None:
    response = await client.call("GET", POLICIES, [(name, value)])

    assert (response.status, response.json["class"]) == (400, "Client::BadRequest")


@pytest.mark.asyncio
async def test_a_reverse_name_is_made_shown_and_deleted(client: Any) -> None:
    names = "/1.0/ip/127.0.0.1%2F29/reverse"
    wanted = {"ipReverse": "127.0.0.2", "reverse": "a.example."}

    created = await client.call("POST", names, body=body(**wanted))
    shown = await client.call("GET", f"{names}/127.0.0.2")
    deleted = await client.call("DELETE", f"{names}/127.0.0.2")
    left = await client.call("GET", names)

    assert created.json == shown.json == wanted
    assert (deleted.body, left.json) == (b"null", [])


@pytest.mark.asyncio
async def test_a_batch_has_an_element_for_each_id(client: Any) -> None:
    path = "/1.0/domain/zone/example.org/record"

    response = await client.call("GET", f"{path}/1,2,99", [("X-Ovh-Batch", ",")])

    assert [element["key"] for element in response.json] == ["1", "2", "99"]
    assert [element["value"] and element["value"]["id"] for element in response.json] == [
        1,
        2,
        None,
    ]
    assert "does not exist" in response.json[2]["error"]


@pytest.mark.asyncio
async def test_a_batch_of_a_list_is_the_list(client: Any) -> None:
    response = await client.call("GET", "/1.0/ip", [("X-Ovh-Batch", ",")])

    assert "127.0.0.1/29" in response.json


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "/domain/zone/example.org/record", {"fieldType": "A"}),
        ("POST", "/domain/zone/example.org/record", {"fieldType": "X", "target": "a"}),
        ("POST", "/domain/zone/example.org/record", {"fieldType": 1, "target": "a"}),
        ("PUT", "/domain/zone/example.org/record/1", {"ttl": "long"}),
        ("PUT", "/domain/zone/example.org/record/1", {"target": None}),
        ("PUT", "/domain/zone/example.org/record/1", {"subDomain": 1}),
        ("PUT", f"/dedicated/server/{SERVER}/burst", {"status": "on"}),
        ("POST", "/ip/127.0.0.1%2F29/reverse", {"ipReverse": "x", "reverse": "a."}),
        ("POST", "/ip/192.0.2.0%2F24/reverse", {"ipReverse": "127.0.0.1", "reverse": "a."}),
    ],
)
@pytest.mark.asyncio
async def test_an_invalid_field_is_refused(
    client: Any, method: str, path: str, fields: dict[str, Any]
) -> None:
    response = await client.call(method, f"/1.0{path}", body=body(**fields))

    assert (response.status, response.json["class"]) == (400, "Client::BadRequest")


@pytest.mark.parametrize(
    "path",
    [
        "/me/bill/FR0",
        "/dedicated/server/unknown",
        "/domain/zone/unknown",
        "/domain/zone/unknown/status",
        "/domain/zone/example.org/record/99",
        "/domain/zone/example.org/record/4",
        "/domain/zone/example.org/record/x",
        "/ip/203.0.113.0%2F24/reverse",
        "/ip/127.0.0.1%2F29/reverse/127.0.0.3",
    ],
)
@pytest.mark.asyncio
async def test_missing_objects_are_not_found(client: Any, path: str) -> None:
    response = await client.call("GET", f"/1.0{path}")

    assert (response.status, response.json["class"]) == (404, "Client::NotFound")
    assert "exist" in response.json["message"]


@pytest.mark.asyncio
async def test_each_sandbox_has_its_own_zones(client: Any, client_of: Any) -> None:
    async with Sandbox() as other:
        await client_of(other).call("DELETE", "/1.0/domain/zone/example.org/record/1")

        response = await client.call("GET", "/1.0/domain/zone/example.org/record/1")

    assert response.status == 200
