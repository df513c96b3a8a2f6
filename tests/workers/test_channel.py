"""Messages between the supervisor and its workers."""

import pytest

from ovh_proxy.workers.channel import MessageDecoder, encode_message

MESSAGES = [
    {"type": "ready"},
    {"type": "publish", "value": {"é": [1, None, "x" * 70_000]}},
    {"type": "stop"},
]


@pytest.mark.parametrize("size", [1, 3, 4, 5, 65_536, 10**9], ids=str)
def test_messages_survive_any_split_of_the_byte_stream(size):
    stream = b"".join(map(encode_message, MESSAGES))
    decoder = MessageDecoder()

    found = [
        message
        for start in range(0, len(stream), size)
        for message in decoder.feed(stream[start : start + size])
    ]

    assert found == MESSAGES


def test_an_incomplete_message_is_not_returned():
    assert MessageDecoder().feed(encode_message(MESSAGES[0])[:-1]) == []
