"""Checks the guarantees of the proxy for arbitrary client input.

Add inputs that fail as lines in `seeds/requests.jsonl`, so that they stay tested.
"""

import asyncio
import re
from dataclasses import dataclass

import pytest
from fuzz.conftest import Harness
from fuzz.examples import run_examples, run_for_a_time
from fuzz.fragments import REQUEST_FRAGMENTS, corpus, fuzzed, pieces, seeds
from fuzz.response_parser import Response, parse_responses
from hypothesis import strategies as st
from support.proxy_server import APPLICATION_SECRET, CONSUMER_KEY, Conversation
from support.raw_server import Side

LAST = b"GET /me?last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Client:
    """The behavior of one client.

    Attributes:
        leaves: whether it resets the connection without waiting for a response.
    """

    text: bytes
    cuts: tuple[int, ...] = ()
    listener: int = 0
    leaves: bool = False


CLIENTS = st.builds(
    Client,
    # Half of them end with a valid request, which shows where the previous request ended.
    st.builds(
        lambda text, last: text + last,
        fuzzed(REQUEST_FRAGMENTS, seeds("requests") + corpus()),
        st.sampled_from((b"", LAST)),
    ),
    st.lists(st.integers(0, 500), max_size=6).map(tuple),
    st.sampled_from((0, 1)),
    st.sampled_from((False, False, False, True)),
)


async def echo_target(side: Side) -> None:
    """Answers each call with its target as a header and as the body."""
    while True:
        head = await side.request()
        target = head.split(b" ")[1]
        body = b"" if head.startswith(b"HEAD ") else target
        length = b"Content-Length: %d\r\n" % len(target)
        await side.send(b"HTTP/1.1 200 OK\r\nAsked: %s\r\n%s\r\n%s" % (target, length, body))


async def received(conversation: Conversation) -> tuple[bytes, bool]:
    """All bytes until the end of the connection, and whether it ended with a reset."""
    text = b""
    try:
        while piece := await conversation.reader.read(65_536):
            text += piece
    except ConnectionError:
        return text, True
    finally:
        conversation.abort()
    return text, False


async def exchange(harness: Harness, client: Client) -> list[Response]:
    """Sends the text of a client, and returns the responses."""
    conversation = await harness.proxy_server.connect(client.listener)
    for piece in pieces(client.text, list(client.cuts)):
        conversation.send(piece)
        await asyncio.sleep(0)
    if client.leaves:
        conversation.abort()
        return []
    text, was_reset = await received(conversation)
    for secret in (APPLICATION_SECRET, CONSUMER_KEY):
        assert secret.encode() not in text
    responses = parse_responses(text, was_reset=was_reset, may_be_bodiless=b"HEAD" in client.text)
    check(client, responses)
    return responses


def check(client: Client, responses: list[Response]) -> None:
    """Checks that each response is complete, belongs to this client, and is not a 500."""
    lost = [response.status for response in responses if not response.is_whole]
    assert lost == []
    assert 500 not in [response.status for response in responses]
    for response in responses:
        if b"asked" in response.fields:
            assert re.sub(rb"^/1\.0", b"", response.fields[b"asked"]) in client.text


def run_clients(harness: Harness, clients: list[Client]) -> list[list[Response]]:
    responses: list[list[Response]] = []

    async def example() -> None:
        responses.extend(await asyncio.gather(*(exchange(harness, client) for client in clients)))

    harness.upstream.scripts = [echo_target]
    harness.run(example)
    return responses


def test_arbitrary_requests_get_complete_responses_and_no_disallowed_call_arrives(harness):
    groups = st.lists(CLIENTS, min_size=1, max_size=6)

    run_examples(groups, lambda clients: run_clients(harness, clients) and None, examples=15)


@pytest.mark.soak
def test_arbitrary_requests_for_a_long_time(harness):
    groups = st.lists(CLIENTS, min_size=1, max_size=8)

    run_for_a_time(groups, lambda clients: run_clients(harness, clients) and None)
