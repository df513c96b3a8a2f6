"""The records of DNS zones, which calls create, change and delete."""

from dataclasses import asdict, dataclass, replace

from ovh_proxy.sandbox.call import Call
from ovh_proxy.sandbox.domains import found_zone
from ovh_proxy.sandbox.refusals import bad_request, no_such
from ovh_proxy.sandbox.responses import Response, json_response
from ovh_proxy.sandbox.routes import Route

# Source: `zone.NamedResolutionFieldTypeEnum` of the API's schema.
FIELD_TYPES = (
    *("A", "AAAA", "CAA", "CNAME", "DKIM", "DMARC", "DNAME", "HTTPS", "LOC", "MX", "NAPTR"),
    *("NS", "PTR", "RP", "SPF", "SRV", "SSHFP", "SVCB", "TLSA", "TXT"),
)
RECORD = {"fieldType": "string", "subDomain": "string", "target": "string", "ttl": "long"}


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a zone; the names are OVHcloud's."""

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
        """The routes, for the table."""
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
        """The ids of the zone's records, of one type or name if asked so."""
        zone, asked = found_zone(call), call.place.parameters
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
        """The new record."""
        zone, field_type = found_zone(call), call.text("fieldType")
        if field_type not in FIELD_TYPES:
            raise bad_request(f"[fieldType] has to be one of {', '.join(FIELD_TYPES)}")
        made = Record(self._last_id + 1, zone, field_type, "", call.text("target"))
        record = changed(made, call.fields())
        self._last_id = record.id
        self._records[record.id] = record
        return json_response(asdict(record))

    async def one(self, call: Call) -> Response:
        """One record."""
        return json_response(asdict(self._found(call)))

    async def change(self, call: Call) -> Response:
        """Changes the fields that the body names."""
        record = changed(self._found(call), call.fields())
        self._records[record.id] = record
        return json_response(None)

    async def delete(self, call: Call) -> Response:
        """One record less."""
        del self._records[self._found(call).id]
        return json_response(None)

    def _found(self, call: Call) -> Record:
        zone, number = found_zone(call), call.variables["id"]
        record = self._records.get(int(number)) if number.isdecimal() else None
        if record is None or record.zone != zone:
            raise no_such(f"The requested object (id = {number}) does not exist")
        return record


def changed(record: Record, fields: dict[str, object]) -> Record:
    """The record with what the fields say.

    Raises:
        Refusal: 400 for a value of the wrong type.
    """
    # `null` is the zone itself, as OVHcloud's SDKs send it.
    sub_domain = fields.get("subDomain", record.subDomain) or ""
    target = fields.get("target", record.target)
    ttl = fields.get("ttl", record.ttl)
    if not isinstance(sub_domain, str) or not isinstance(target, str) or not isinstance(ttl, int):
        raise bad_request("[subDomain] and [target] are texts, [ttl] a number")
    return replace(record, subDomain=sub_domain, target=target, ttl=ttl)
