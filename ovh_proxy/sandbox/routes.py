"""The table of routes: how a path finds its code, for batch calls too."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from ovh_proxy.sandbox.call import ApiPath, Call
from ovh_proxy.sandbox.responses import Refusal, Response, Verbatim, json_response

Handler = Callable[[Call], Awaitable[Response | Verbatim]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API.

    Attributes:
        method: `*` is any.
        template: without version; `{name}` stands for one segment of the path.
        returns: the type of the response, as the API's schema calls it.
        is_open: needs no authentication.
        query: names of the parameters it reads.
        body: names and types of the fields it reads.
        version: `v1`, `v2`, or empty for pages outside the API.
    """

    method: str
    template: str
    handler: Handler
    description: str
    returns: str = "void"
    is_open: bool = False
    query: tuple[str, ...] = ()
    body: Mapping[str, str] | None = None
    version: str = "v1"

    @property
    def pieces(self) -> tuple[str, ...]:
        """The segments of the template."""
        return tuple(self.template.split("/")[1:])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the template's variables."""
        return tuple(piece[1:-1] for piece in self.pieces if piece.startswith("{"))

    def variables(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """The values of the template's variables; None if the path does not match."""
        pieces = self.pieces
        if len(segments) != len(pieces):
            return None
        found = {}
        for piece, segment in zip(pieces, segments, strict=True):
            if piece.startswith("{") and segment:
                found[piece[1:-1]] = segment
            elif piece != segment:
                return None
        return found


Found = tuple[Route, dict[str, str]]  # with the variables of its template


def find_route(routes: Iterable[Route], method: str, api_path: ApiPath) -> Found | None:
    """The first matching route with its variables; HEAD is routed like GET."""
    wanted = "GET" if method == "HEAD" else method
    segments = api_path.segments
    for route in routes:
        if route.version == api_path.version and route.method in ("*", wanted):
            variables = route.variables(segments)
            if variables is not None:
                return route, variables
    return None


BATCH = "X-Ovh-Batch"


async def answer_route(route: Route, call: Call) -> Response | Verbatim:
    """The route's response, or for a batch call the list of its responses."""
    separator = call.received.header(BATCH)
    if not separator or route.method != "GET" or not route.pieces[-1].startswith("{"):
        return await route.handler(call)
    name = route.names[-1]
    keys = call.variables[name].split(separator)
    return json_response([await element(route.handler, call, name, key) for key in keys])


async def element(
    handler: Callable[[Call], Awaitable[Response | Verbatim]], call: Call, name: str, key: str
) -> dict[str, object]:
    """One element of a batch; OVHcloud's SDKs read `value`, the other names are a guess."""
    one = replace(call, variables={**call.variables, name: key})
    try:
        response = await handler(one)
    except Refusal as refused:
        return {"key": key, "value": None, "error": refused.message}
    assert isinstance(response, Response)
    return {"key": key, "value": json.loads(response.body)}
