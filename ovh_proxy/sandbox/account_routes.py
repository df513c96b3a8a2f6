"""The account's own routes: who it is, its bills, machines, and policies."""

import base64
import binascii

from ovh_proxy.sandbox.accounts import BILLS, INSTANCES, ME, POLICIES, SERVERS, Fields
from ovh_proxy.sandbox.call import Call, whole
from ovh_proxy.sandbox.refusals import bad_request, no_such
from ovh_proxy.sandbox.responses import Response, json_response
from ovh_proxy.sandbox.routes import Route

BURST_STATES = ("active", "inactive")


class Services:
    """The routes of the account. Only what a call can change is kept here."""

    def __init__(self) -> None:
        self._bursts = dict.fromkeys(SERVERS, "inactive")

    def routes(self) -> tuple[Route, ...]:
        """The routes, for the table."""
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
        """Whether a server may use more bandwidth than it has."""
        name = str(found_server(call)["name"])
        return json_response({"capacity": "additional", "status": self._bursts[name]})

    async def set_burst(self, call: Call) -> Response:
        """Switches burst."""
        name, status = str(found_server(call)["name"]), call.text("status")
        if status not in BURST_STATES:
            raise bad_request(f"[status] has to be one of {', '.join(BURST_STATES)}")
        self._bursts[name] = status
        return json_response(None)


async def me(call: Call) -> Response:
    """The account."""
    return json_response(ME)


async def bills(call: Call) -> Response:
    """The bills' ids."""
    return json_response(list(BILLS))


async def one_bill(call: Call) -> Response:
    """One bill."""
    found = BILLS.get(call.variables["billId"])
    if found is None:
        raise no_such(f"The requested object (billId = {call.variables['billId']}) does not exist")
    return json_response(found)


async def servers(call: Call) -> Response:
    """The servers' names."""
    return json_response(list(SERVERS))


async def one_server(call: Call) -> Response:
    """One server."""
    return json_response(found_server(call))


def found_server(call: Call) -> Fields:
    """The server that the path names.

    Raises:
        Refusal: 404 when there is none.
    """
    found = SERVERS.get(call.variables["serviceName"])
    if found is None:
        raise no_such("This service does not exist")
    return found


async def instances(call: Call) -> Response:
    """All instances, whole."""
    return json_response(INSTANCES)


async def policies(call: Call) -> Response:
    """A page of policies; the header `X-Pagination-Cursor-Next` leads to the next one.

    Source: OVHcloud's guide to API v2.
    """
    size = whole("X-Pagination-Size", call.received.header("X-Pagination-Size") or "100")
    if size < 1:
        raise bad_request("[X-Pagination-Size] has to be positive")
    start = position(call.received.header("X-Pagination-Cursor"))
    end = start + size
    more = (("X-Pagination-Cursor-Next", cursor(end)),) if end < len(POLICIES) else ()
    return json_response(POLICIES[start:end], more)


def cursor(place: int) -> str:
    """A place in a list, in a form that nobody is tempted to count with."""
    return base64.urlsafe_b64encode(f"policy:{place}".encode()).decode()


def position(text: str | None) -> int:
    """The place that a cursor stands for.

    Raises:
        Refusal: 400 when it is none of ours.
    """
    if text is None:
        return 0
    try:
        plain = base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, ValueError):
        raise bad_request("Invalid cursor") from None
    return whole("X-Pagination-Cursor", plain.removeprefix("policy:"))
