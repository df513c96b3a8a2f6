"""Domains and their DNS zones, as they stand."""

from ovh_proxy.sandbox.accounts import ZONES
from ovh_proxy.sandbox.call import Call
from ovh_proxy.sandbox.refusals import no_such
from ovh_proxy.sandbox.responses import Response, json_response
from ovh_proxy.sandbox.routes import Route


def domain_routes() -> tuple[Route, ...]:
    """The routes that change nothing, for the table."""
    zone = "/domain/zone/{zoneName}"
    return (
        Route("GET", "/domain", names, "List your domains", "string[]"),
        Route("GET", "/domain/zone", names, "List your zones", "string[]"),
        # As lexicon asks for them, which works on OVHcloud.
        Route("GET", "/domain/zone/", names, "List your zones", "string[]"),
        Route("GET", zone, one_zone, "Details about a zone", "domain.zone.Zone"),
        Route("GET", f"{zone}/status", status, "Status of a zone", "domain.zone.Status"),
        Route("POST", f"{zone}/refresh", refresh, "Apply the changes to the zone"),
    )


async def names(call: Call) -> Response:
    """The names of the domains, each of which has a zone."""
    return json_response(list(ZONES))


async def one_zone(call: Call) -> Response:
    """One zone."""
    return json_response(zone_fields(found_zone(call)))


def zone_fields(zone: str) -> dict[str, object]:
    """A zone as the API shows it."""
    return {
        "name": zone,
        "hasDnsAnycast": False,
        "dnssecSupported": True,
        "lastUpdate": "2024-05-28T14:00:00+02:00",
        "nameServers": ["dns10.ovh.net", "ns10.ovh.net"],
    }


async def status(call: Call) -> Response:
    """Whether the zone is served, and what is wrong with it."""
    found_zone(call)
    return json_response({"isDeployed": True, "errors": [], "warnings": []})


async def refresh(call: Call) -> Response:
    """Nothing to be done here: changes hold at once."""
    found_zone(call)
    return json_response(None)


def found_zone(call: Call) -> str:
    """The zone that the path names.

    Raises:
        Refusal: 404 when there is none.
    """
    if call.variables["zoneName"] not in ZONES:
        raise no_such("This service does not exist")
    return call.variables["zoneName"]
