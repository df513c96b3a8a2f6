"""Whatever a client says, the proxy keeps its promises.

What is found goes as a line into `seeds/requests.jsonl`, and stays checked.
"""

import asyncio
import re
from dataclasses import dataclass

import pytest
from fuzz.conftest import Stage
from fuzz.reading import Answer, answers_in
from fuzz.rounds import play, play_long
from fuzz.words import REQUEST_WORDS, corpus, pieces, seeds, speech
from hypothesis import strategies as st
from server.conftest import APPLICATION_SECRET, CONSUMER_KEY, Conversation
from upstream.raw_server import Side

LAST = b"GET /me?last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Client:
    """What one client does.

    Attributes:
        issuer: without waiting for an answer, by a reset.
    """

    text: bytes
    cuts: tuple[int, ...] = ()
    listener: int = 0
    issuer: bool = False


CLIENTS = st.builds(
    Client,
    # Half of them end with a good request, which shows where the one before it ended.
    st.builds(
        lambda text, last: text + last,
        speech(REQUEST_WORDS, seeds("requests") + corpus()),
        st.sampled_from((b"", LAST)),
    ),
    st.lists(st.integers(0, 500), max_size=6).map(tuple),
    st.sampled_from((0, 1)),
    st.sampled_from((False, False, False, True)),
)


async def numbering(side: Side) -> None:
    """Answers each call with its number, unless the call has none, and with what was asked for."""
    while True:
        head = await side.request()
        target = head.split(b" ")[1]
        body = b"" if head.startswith(b"HEAD ") else target
        length = b"Content-Length: %d\r\n" % len(target)
        await side.send(b"HTTP/1.1 200 OK\r\nAsked: %s\r\n%s\r\n%s" % (target, length, body))


async def received(conversation: Conversation) -> tuple[bytes, bool]:
    """All that came until the end, and whether that was a reset."""
    text = b""
    try:
        while piece := await conversation.reader.read(65_536):
            text += piece
    except ConnectionError:
        return text, True
    finally:
        conversation.abort()
    return text, False


async def talk(stage: Stage, client: Client) -> list[Answer]:
    """What a client says, and the answers that it gets."""
    conversation = await stage.front.connect(client.listener)
    for piece in pieces(client.text, list(client.cuts)):
        conversation.send(piece)
        await asyncio.sleep(0)
    if client.issuer:
        conversation.abort()
        return []
    text, was_reset = await received(conversation)
    for secret in (APPLICATION_SECRET, CONSUMER_KEY):
        assert secret.encode() not in text
    answers = answers_in(text, was_reset=was_reset, may_be_bodiless=b"HEAD" in client.text)
    check(client, answers)
    return answers


def check(client: Client, answers: list[Answer]) -> None:
    """Each answer is whole, is one that this client asked for, and is no defect of ours."""
    lost = [answer.status for answer in answers if not answer.is_whole]
    assert lost == []
    assert 500 not in [answer.status for answer in answers]
    for answer in answers:
        if b"asked" in answer.fields:
            assert re.sub(rb"^/1\.0", b"", answer.fields[b"asked"]) in client.text


def play_clients(stage: Stage, clients: list[Client]) -> list[list[Answer]]:
    answers: list[list[Answer]] = []

    async def example() -> None:
        answers.extend(await asyncio.gather(*(talk(stage, client) for client in clients)))

    stage.upstream.scripts = [numbering]
    stage.play(example)
    return answers


def test_whatever_clients_say_is_answered_whole_and_nothing_ungranted_arrives(stage):
    groups = st.lists(CLIENTS, min_size=1, max_size=6)

    play(groups, lambda clients: play_clients(stage, clients) and None, examples=15)


@pytest.mark.soak
def test_whatever_clients_say_for_long(stage):
    groups = st.lists(CLIENTS, min_size=1, max_size=8)

    play_long(groups, lambda clients: play_clients(stage, clients) and None)
