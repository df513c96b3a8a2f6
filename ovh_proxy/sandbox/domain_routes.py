"""Domains, the records of their DNS zones, and reverse names of addresses."""

from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address, ip_network

from ovh_proxy.sandbox.account_routes import IP_BLOCKS, ZONES
from ovh_proxy.sandbox.call import Call
from ovh_proxy.sandbox.responses import Response, bad_request, json_response, no_such
from ovh_proxy.sandbox.routes import Route


def domain_routes() -> tuple[Route, ...]:
    """The read-only routes."""
    zone = "/domain/zone/{zoneName}"
    return (
        Route("GET", "/domain", names, "List your domains", "string[]"),
        Route("GET", "/domain/zone", names, "List your zones", "string[]"),
        # lexicon requests the path with a final slash, which OVHcloud accepts.
        Route("GET", "/domain/zone/", names, "List your zones", "string[]"),
        Route("GET", zone, one_zone, "Details about a zone", "domain.zone.Zone"),
        Route("GET", f"{zone}/status", status, "Status of a zone", "domain.zone.Status"),
        Route("POST", f"{zone}/refresh", refresh, "Apply the changes to the zone"),
    )


async def names(call: Call) -> Response:
    """The names of the domains, which are also those of the zones."""
    return json_response(list(ZONES))


async def one_zone(call: Call) -> Response:
    return json_response(zone_fields(found_zone(call)))


def zone_fields(zone: str) -> dict[str, object]:
    """A zone as the API returns it."""
    return {
        "name": zone,
        "hasDnsAnycast": False,
        "dnssecSupported": True,
        "lastUpdate": "2024-05-28T14:00:00+02:00",
        "nameServers": ["dns10.ovh.net", "ns10.ovh.net"],
    }


async def status(call: Call) -> Response:
    """Whether the zone is deployed, and its problems."""
    found_zone(call)
    return json_response({"isDeployed": True, "errors": [], "warnings": []})


async def refresh(call: Call) -> Response:
    """Does nothing: changes take effect immediately."""
    found_zone(call)
    return json_response(None)


def found_zone(call: Call) -> str:
    """The zone in the path.

    Raises:
        Refusal: 404 if there is no such zone.
    """
    if call.variables["zoneName"] not in ZONES:
        raise no_such("This service does not exist")
    return call.variables["zoneName"]


NAME = {"ipReverse": "ip", "reverse": "string"}


class ReverseNames:
    """The routes under `/ip`."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, str]] = {block: {} for block in IP_BLOCKS}

    def routes(self) -> tuple[Route, ...]:
        names = "/ip/{ip}/reverse"
        name = f"{names}/{{ipReverse}}"
        return (
            Route("GET", "/ip", blocks, "Your blocks of addresses", "ipBlock[]"),
            Route("GET", names, self.addresses, "Addresses with a reverse name", "ip[]"),
            Route("POST", names, self.create, "Add a reverse name", "ip.ReverseIp", body=NAME),
            Route("GET", name, self.one, "Details about a reverse name", "ip.ReverseIp"),
            Route("DELETE", name, self.delete, "Delete a reverse name"),
        )

    async def addresses(self, call: Call) -> Response:
        """The addresses of the block that have a reverse name."""
        return json_response(list(self._found(call)))

    async def create(self, call: Call) -> Response:
        names, address, name = self._found(call), call.text("ipReverse"), call.text("reverse")
        try:
            is_inside = ip_address(address) in ip_network(call.variables["ip"], strict=False)
        except ValueError:
            is_inside = False
        if not is_inside:
            raise bad_request("[ipReverse] has to be an address of the block")
        names[address] = name
        return json_response(reverse_fields(address, name))

    async def one(self, call: Call) -> Response:
        names, address = self._found(call), call.variables["ipReverse"]
        if address not in names:
            raise no_such(f"The requested object (ipReverse = {address}) does not exist")
        return json_response(reverse_fields(address, names[address]))

    async def delete(self, call: Call) -> Response:
        await self.one(call)
        del self._found(call)[call.variables["ipReverse"]]
        return json_response(None)

    def _found(self, call: Call) -> dict[str, str]:
        names = self._names.get(call.variables["ip"])
        if names is None:
            raise no_such("This service does not exist")
        return names


async def blocks(call: Call) -> Response:
    """The address blocks of the account."""
    return json_response(list(IP_BLOCKS))


def reverse_fields(address: str, name: str) -> dict[str, str]:
    """A reverse name as the API returns it."""
    return {"ipReverse": address, "reverse": name}


# Source: `zone.NamedResolutionFieldTypeEnum` of the API's schema.
FIELD_TYPES = (
    *("A", "AAAA", "CAA", "CNAME", "DKIM", "DMARC", "DNAME", "HTTPS", "LOC", "MX", "NAPTR"),
    *("NS", "PTR", "RP", "SPF", "SRV", "SSHFP", "SVCB", "TLSA", "TXT"),
)

RECORD = {"fieldType": "string", "subDomain": "string", "target": "string", "ttl": "long"}


@dataclass(frozen=True, slots=True)
class Record:
    """A DNS record; the field names are OVHcloud's."""

    id: int
    zone: str
    fieldType: str  # noqa: N815 - OVHcloud's name
    subDomain: str  # noqa: N815 - OVHcloud's name
    target: str
    ttl: int = 0


SEED = (
    Record(1, "example.org", "A", "", "192.0.2.11"),
    Record(2, "example.org", "CNAME", "www", "example.org."),
    Record(3, "example.org", "TXT", "", '"v=spf1 include:mx.ovh.com ~all"', 600),
    Record(4, "example.net", "A", "", "192.0.2.12"),
)


class Zones:
    """The routes of records."""

    def __init__(self) -> None:
        self._records = {record.id: record for record in SEED}
        self._last_id = len(SEED)

    def routes(self) -> tuple[Route, ...]:
        zone = "/domain/zone/{zoneName}"
        record = f"{zone}/record/{{id}}"
        query = ("fieldType", "subDomain")
        changes = {name: kind for name, kind in RECORD.items() if name != "fieldType"}
        return (
            Route("GET", f"{zone}/record", self.ids, "Ids of records", "long[]", query=query),
            Route("POST", f"{zone}/record", self.create, "New record", "zone.Record", body=RECORD),
            Route("GET", record, self.one, "Details about a record", "zone.Record"),
            Route("PUT", record, self.change, "Alter a record", body=changes),
            Route("DELETE", record, self.delete, "Delete a record"),
        )

    async def ids(self, call: Call) -> Response:
        """The IDs of the zone's records, filtered by type and name on request."""
        zone, asked = found_zone(call), call.api_path.parameters
        return json_response(
            [
                record.id
                for record in self._records.values()
                if record.zone == zone
                and asked.get("fieldType", record.fieldType) == record.fieldType
                and asked.get("subDomain", record.subDomain) == record.subDomain
            ]
        )

    async def create(self, call: Call) -> Response:
        zone, field_type = found_zone(call), call.text("fieldType")
        if field_type not in FIELD_TYPES:
            raise bad_request(f"[fieldType] has to be one of {', '.join(FIELD_TYPES)}")
        made = Record(self._last_id + 1, zone, field_type, "", call.text("target"))
        record = changed(made, call.fields())
        self._last_id = record.id
        self._records[record.id] = record
        return json_response(asdict(record))

    async def one(self, call: Call) -> Response:
        return json_response(asdict(self._found(call)))

    async def change(self, call: Call) -> Response:
        """Changes the fields in the body."""
        record = changed(self._found(call), call.fields())
        self._records[record.id] = record
        return json_response(None)

    async def delete(self, call: Call) -> Response:
        del self._records[self._found(call).id]
        return json_response(None)

    def _found(self, call: Call) -> Record:
        zone, number = found_zone(call), call.variables["id"]
        record = self._records.get(int(number)) if number.isdecimal() else None
        if record is None or record.zone != zone:
            raise no_such(f"The requested object (id = {number}) does not exist")
        return record


def changed(record: Record, fields: dict[str, object]) -> Record:
    """The record with changed fields.

    Raises:
        Refusal: 400 for a value of the wrong type.
    """
    # OVHcloud's SDKs send `null` for the zone itself.
    sub_domain = fields.get("subDomain", record.subDomain) or ""
    target = fields.get("target", record.target)
    ttl = fields.get("ttl", record.ttl)
    if not isinstance(sub_domain, str) or not isinstance(target, str) or not isinstance(ttl, int):
        raise bad_request("[subDomain] and [target] are texts, [ttl] a number")
    return replace(record, subDomain=sub_domain, target=target, ttl=ttl)
