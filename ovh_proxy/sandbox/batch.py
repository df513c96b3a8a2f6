"""Several objects in one call: `X-Ovh-Batch: ,` and `/record/1,2,3`."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from ovh_proxy.sandbox.call import Call
from ovh_proxy.sandbox.refusals import Refusal
from ovh_proxy.sandbox.responses import Response, Verbatim, json_response
from ovh_proxy.sandbox.routes import Route

BATCH = "X-Ovh-Batch"


async def answer_route(route: Route, call: Call) -> Response | Verbatim:
    """The route's answer, or a list of its answers where a batch is asked for."""
    separator = call.received.header(BATCH)
    if not separator or route.method != "GET" or not route.pieces[-1].startswith("{"):
        return await route.handler(call)
    name = route.names[-1]
    keys = call.variables[name].split(separator)
    return json_response([await element(route.handler, call, name, key) for key in keys])


async def element(
    handler: Callable[[Call], Awaitable[Response | Verbatim]], call: Call, name: str, key: str
) -> dict[str, object]:
    """One object of a batch. OVHcloud's SDKs read `value`; the other names are a guess."""
    one = replace(call, variables={**call.variables, name: key})
    try:
        answer = await handler(one)
    except Refusal as refused:
        return {"key": key, "value": None, "error": refused.message}
    assert isinstance(answer, Response)
    return {"key": key, "value": json.loads(answer.body)}
