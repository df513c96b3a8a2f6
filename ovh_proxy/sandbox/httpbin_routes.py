"""Routes as httpbin has them: responses of any size, speed, status and shape."""

import asyncio
import json
from collections.abc import AsyncIterator

from ovh_proxy.sandbox.call import Call, whole
from ovh_proxy.sandbox.faults import is_delay
from ovh_proxy.sandbox.http_server import BODYLESS, head_bytes, reason
from ovh_proxy.sandbox.responses import (
    HTML,
    Headers,
    Response,
    Verbatim,
    bad_request,
    class_of,
    json_response,
)
from ovh_proxy.sandbox.routes import Route

# All byte values in sequence, so that a lost or repeated byte shifts everything after it.
BLOCK = bytes(range(256)) * 256
HINTS: Headers = (("Link", "</style.css>; rel=preload; as=style"),)


def routes() -> tuple[Route, ...]:
    """The routes under `/sandbox/`, authenticated like all others."""
    return (
        Route("GET", "/sandbox/bytes/{count}", send_bytes, "So many bytes", query=("chunked",)),
        Route("GET", "/sandbox/slow", send_slowly, "Bit by bit", query=("chunks", "delay")),
        Route("*", "/sandbox/echo", echo, "The request as it came in", "sandbox.Echo"),
        Route("*", "/sandbox/status/{code}", send_status, "That status", query=("html",)),
        Route("POST", "/sandbox/answer", send_verbatim, "The body, as an answer", body=ANSWER),
        Route("GET", "/sandbox/early-hints", hint_early, "A 103 before the 200"),
    )


ANSWER = {"status": "long", "reason": "string", "headers": "string[][]", "body": "string"}


async def send_bytes(call: Call) -> Response:
    """`count` bytes, with at most one block of them in memory."""
    count = whole("count", call.variables["count"])
    length = None if call.number("chunked", 0) else count
    return Response(content_type="application/octet-stream", pieces=blocks(count), length=length)


async def blocks(count: int) -> AsyncIterator[bytes]:
    """Byte number N is N modulo 256."""
    for start in range(0, count, len(BLOCK)):
        yield BLOCK[: count - start]


async def send_slowly(call: Call) -> Response:
    """Chunks of one line each, with a pause between them."""
    delay = call.api_path.parameters.get("delay", "0.2")
    if not is_delay(delay):
        raise bad_request("[delay] has to be a number of seconds")
    return Response(pieces=lines(call.number("chunks", 3), float(delay)))


async def lines(count: int, delay: float) -> AsyncIterator[bytes]:
    """JSON numbers in a list, one by one."""
    for number in range(1, count + 1):
        if number > 1:
            await asyncio.sleep(delay)
        opening = "[" if number == 1 else ","
        ending = "]" if number == count else ""
        yield f"{opening}{number}{ending}\n".encode()


async def echo(call: Call) -> Response:
    """The request as received, with bytes as Latin-1 characters."""
    received = call.received
    headers = [
        [name.decode("latin-1"), value.decode("latin-1")] for name, value in received.headers
    ]
    return json_response(
        {
            "method": received.method,
            "target": received.target.decode("latin-1"),
            "headers": headers,
            "body": received.body.decode("latin-1"),
        }
    )


async def send_status(call: Call) -> Response:
    """The status in the path, with an error body if it is an error."""
    code = whole("code", call.variables["code"])
    if not 200 <= code <= 999:
        raise bad_request("[code] has to be a final status")
    return status_response(code, is_html=call.number("html", 0) > 0)


def status_response(code: int, *, is_html: bool = False) -> Response:
    """What OVHcloud (or, for HTML, its load balancer) would send with a status."""
    phrase = reason(code)
    if is_html:
        page = f"<html><body><h1>{code} {phrase}</h1>\nNo server is available.\n</body></html>\n"
        return Response(code, page.encode(), HTML)
    if code < 400:
        return Response(code, b"" if code in BODYLESS else b"null")
    return Response(code, json.dumps({"class": class_of(code), "message": phrase}).encode())


async def send_verbatim(call: Call) -> Verbatim:
    """The response that the body describes, byte for byte, without additional headers.

    Characters are Latin-1 bytes. The connection stays open only if the headers delimit the
    response.
    """
    wanted = call.fields()
    try:
        status = int(str(wanted.get("status", 200)))
        pairs = wanted.get("headers", [])
        # Anything but a list of pairs raises here and is answered with 400 below.
        headers = tuple((str(k), str(v)) for k, v in pairs)  # type: ignore[attr-defined] # see above
        body = str(wanted.get("body", "")).encode("latin-1")
        opening = head_bytes(status, str(wanted.get("reason", reason(status))), headers)
    except (TypeError, ValueError):
        raise bad_request("The body does not describe a response") from None
    return Verbatim(opening + body, is_last=not ends_by_itself(status, headers, body))


def ends_by_itself(status: int, headers: Headers, body: bytes) -> bool:
    """Whether the response delimits itself, without the end of the connection."""
    given = {name.lower(): value for name, value in headers}
    if given.get("connection", "").lower() == "close":
        return False
    has_length = given.get("content-length") == str(len(body))
    return has_length or "transfer-encoding" in given or status in BODYLESS


async def hint_early(call: Call) -> Response:
    """A 103 followed by a 200."""
    return Response(before=head_bytes(103, "Early Hints", HINTS))
