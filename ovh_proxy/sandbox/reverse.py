"""Reverse names of addresses; a block is one piece of the path, `192.0.2.0%2F24`."""

from ipaddress import ip_address, ip_network

from ovh_proxy.sandbox.accounts import IP_BLOCKS
from ovh_proxy.sandbox.call import Call
from ovh_proxy.sandbox.refusals import bad_request, no_such
from ovh_proxy.sandbox.responses import Response, json_response
from ovh_proxy.sandbox.routes import Route

NAME = {"ipReverse": "ip", "reverse": "string"}


class ReverseNames:
    """The routes under `/ip`."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, str]] = {block: {} for block in IP_BLOCKS}

    def routes(self) -> tuple[Route, ...]:
        """The routes, for the table."""
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
        """The addresses of the block that have a name."""
        return json_response(list(self._found(call)))

    async def create(self, call: Call) -> Response:
        """The new name."""
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
        """One name."""
        names, address = self._found(call), call.variables["ipReverse"]
        if address not in names:
            raise no_such(f"The requested object (ipReverse = {address}) does not exist")
        return json_response(reverse_fields(address, names[address]))

    async def delete(self, call: Call) -> Response:
        """One name less."""
        await self.one(call)
        del self._found(call)[call.variables["ipReverse"]]
        return json_response(None)

    def _found(self, call: Call) -> dict[str, str]:
        names = self._names.get(call.variables["ip"])
        if names is None:
            raise no_such("This service does not exist")
        return names


async def blocks(call: Call) -> Response:
    """The blocks of the account."""
    return json_response(list(IP_BLOCKS))


def reverse_fields(address: str, name: str) -> dict[str, str]:
    """A reverse name as the API shows it."""
    return {"ipReverse": address, "reverse": name}
