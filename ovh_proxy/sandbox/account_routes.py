"""A made-up account: who it is, its bills, servers, instances and policies."""

import base64
import binascii
from dataclasses import dataclass

from ovh_proxy.sandbox.call import Call, whole
from ovh_proxy.sandbox.responses import Response, bad_request, json_response, no_such
from ovh_proxy.sandbox.routes import Route

Fields = dict[str, object]

ME: Fields = {
    "nichandle": "zl12345-ovh",
    "firstname": "Zoé",
    "name": "Lefèvre",
    "email": "zoe@example.org",
    "city": "Roubaix",
    "zip": "59100",
    "country": "FR",
    "language": "fr_FR",
    "legalform": "individual",
    "ovhCompany": "ovh",
    "ovhSubsidiary": "FR",
    "state": "complete",
    "currency": {"code": "EUR", "symbol": "€"},
}


def price(value: float) -> Fields:
    """An amount as OVHcloud writes it."""
    return {"value": value, "currencyCode": "EUR", "text": f"{value:.2f} €"}


def bill(bill_id: str, date: str, net: float) -> Fields:
    """A bill with French VAT."""
    tax = round(net * 0.2, 2)
    return {
        "billId": bill_id,
        "date": f"{date}T09:30:00+02:00",
        "orderId": int(bill_id.removeprefix("FR")),
        "priceWithoutTax": price(net),
        "tax": price(tax),
        "priceWithTax": price(round(net + tax, 2)),
        "password": "sandbox",
        "url": f"https://www.ovh.example/cgi-bin/order/bill.cgi?reference={bill_id}",
        "pdfUrl": f"https://www.ovh.example/cgi-bin/order/bill.pdf?reference={bill_id}",
    }


BILLS = {
    str(made["billId"]): made
    for made in (
        bill("FR10030001", "2024-04-02", 9.99),
        bill("FR10030002", "2024-05-02", 59.99),
        bill("FR10030003", "2024-06-03", 129.0),
    )
}


def server(name: str, datacenter: str, ip: str, server_id: int) -> Fields:
    """A dedicated server."""
    return {
        "name": name,
        "reverse": name,
        "serverId": server_id,
        "datacenter": datacenter,
        "ip": ip,
        "state": "ok",
        "os": "debian12_64",
        "rack": f"{datacenter.upper()}A01",
        "commercialRange": "advance",
        "linkSpeed": 1000,
        "monitoring": True,
        "bootId": 1,
        "supportLevel": "pro",
    }


SERVERS = {
    str(made["name"]): made
    for made in (
        server("ns3001001.ip-192-0-2.eu", "sbg1", "192.0.2.11", 3001001),
        server("ns3001002.ip-192-0-2.eu", "rbx2", "192.0.2.12", 3001002),
        server("ns3001003.ip-192-0-2.eu", "sbg1", "192.0.2.13", 3001003),
        server("ns3001004.ip-198-51-100.eu", "gra1", "198.51.100.14", 3001004),
        server("ns3001005.ip-198-51-100.eu", "sbg1", "198.51.100.15", 3001005),
    )
}


@dataclass(frozen=True, slots=True)
class Instance:
    """A RunAbove virtual machine."""

    number: int
    name: str
    ip: str
    region: str

    @property
    def fields(self) -> Fields:
        """The instance as RunAbove's API returns it."""
        return {
            "instanceId": f"2f5a8c10-7b1e-4c1a-9d52-00000000000{self.number}",
            "name": self.name,
            "ip": self.ip,
            "flavorId": "4245b91e-d9cf-4c9d-a109-f6a32da8a5cc",
            "imageId": "82a56d09-882d-48cc-82ce-eef59820879f",
            "keyName": "sandbox",
            "status": "ACTIVE",
            "created": "2014-09-22T10:00:00Z",
            "region": self.region,
        }


INSTANCES = [
    Instance(1, "web", "203.0.113.21", "BHS-1").fields,
    Instance(2, "db", "203.0.113.22", "SBG-1").fields,
]

ZONES = ("example.org", "example.net")
IP_BLOCKS = ("127.0.0.1/29", "192.0.2.0/24", "198.51.100.14/32")

POLICIES = [
    {
        "id": f"5a1c3c1e-0000-4000-8000-00000000000{number}",
        "name": name,
        "owner": ME["nichandle"],
        "readOnly": False,
        "identities": [f"urn:v1:eu:identity:account:{ME['nichandle']}"],
        "resources": [{"urn": "urn:v1:eu:resource:dnsZone:*"}],
        "permissions": {"allow": [{"action": action}]},
        "createdAt": "2024-03-01T10:00:00Z",
    }
    for number, (name, action) in enumerate(
        (
            ("dns-read", "dnsZone:apiovh:get"),
            ("dns-write", "dnsZone:apiovh:record/create"),
            ("billing", "account:apiovh:me/bill/get"),
            ("servers", "dedicatedServer:apiovh:get"),
            ("vps-reboot", "vps:apiovh:reboot"),
        ),
        start=1,
    )
]

BURST_STATES = ("active", "inactive")


class Services:
    """The routes of the account; only the burst states can change."""

    def __init__(self) -> None:
        self._bursts = dict.fromkeys(SERVERS, "inactive")

    def routes(self) -> tuple[Route, ...]:
        server = "/dedicated/server/{serviceName}"
        burst = f"{server}/burst"
        return (
            Route("GET", "/me", me, "Details about your account", "nichandle.Nichandle"),
            Route("GET", "/me/bill", bills, "List all the bills you have", "string[]"),
            Route("GET", "/me/bill/{billId}", one_bill, "Details about a bill", "billing.Bill"),
            Route("GET", "/dedicated/server", servers, "List of your servers", "string[]"),
            Route(
                "GET", server, one_server, "Details about a server", "dedicated.server.Dedicated"
            ),
            Route("GET", burst, self.burst, "Burst of a server", "dedicated.server.BandwidthBurst"),
            Route("PUT", burst, self.set_burst, "Alter the burst", body={"status": "string"}),
            Route("GET", "/instance", instances, "List of your instances", "instance.Instance[]"),
            Route("GET", "/iam/policy", policies, "List policies", "iam.Policy[]", version="v2"),
        )

    async def burst(self, call: Call) -> Response:
        """Whether a server may exceed its bandwidth."""
        name = str(found_server(call)["name"])
        return json_response({"capacity": "additional", "status": self._bursts[name]})

    async def set_burst(self, call: Call) -> Response:
        name, status = str(found_server(call)["name"]), call.text("status")
        if status not in BURST_STATES:
            raise bad_request(f"[status] has to be one of {', '.join(BURST_STATES)}")
        self._bursts[name] = status
        return json_response(None)


async def me(call: Call) -> Response:
    return json_response(ME)


async def bills(call: Call) -> Response:
    """The IDs of the bills."""
    return json_response(list(BILLS))


async def one_bill(call: Call) -> Response:
    found = BILLS.get(call.variables["billId"])
    if found is None:
        raise no_such(f"The requested object (billId = {call.variables['billId']}) does not exist")
    return json_response(found)


async def servers(call: Call) -> Response:
    """The servers' names."""
    return json_response(list(SERVERS))


async def one_server(call: Call) -> Response:
    return json_response(found_server(call))


def found_server(call: Call) -> Fields:
    """The server in the path.

    Raises:
        Refusal: 404 if there is no such server.
    """
    found = SERVERS.get(call.variables["serviceName"])
    if found is None:
        raise no_such("This service does not exist")
    return found


async def instances(call: Call) -> Response:
    """All instances, with all fields."""
    return json_response(INSTANCES)


async def policies(call: Call) -> Response:
    """A page of policies; the header `X-Pagination-Cursor-Next` names the next page.

    Source: OVHcloud's guide to API v2.
    """
    size = whole("X-Pagination-Size", call.received.header("X-Pagination-Size") or "100")
    if size < 1:
        raise bad_request("[X-Pagination-Size] has to be positive")
    start = parse_cursor(call.received.header("X-Pagination-Cursor"))
    end = start + size
    more = (("X-Pagination-Cursor-Next", make_cursor(end)),) if end < len(POLICIES) else ()
    return json_response(POLICIES[start:end], more)


def make_cursor(position: int) -> str:
    """A position in a list as an opaque cursor."""
    return base64.urlsafe_b64encode(f"policy:{position}".encode()).decode()


def parse_cursor(text: str | None) -> int:
    """The position that a cursor stands for.

    Raises:
        Refusal: 400 for a malformed cursor.
    """
    if text is None:
        return 0
    try:
        plain = base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, ValueError):
        raise bad_request("Invalid cursor") from None
    return whole("X-Pagination-Cursor", plain.removeprefix("policy:"))
