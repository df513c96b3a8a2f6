import pytest
from fuzz.test_requests import Client, play_clients
from fuzz.words import expected_statuses, seeds

from ovh_proxy.core.settings import Timeouts


@pytest.fixture
def timeouts():
    """Long enough for a machine under load: each answer here is the one that is expected."""
    return Timeouts(header_s=1, body_s=1, idle_s=1)


@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "byte by byte"])
def test_what_was_worth_keeping_is_answered_as_ever(stage, is_cut):
    texts = seeds("requests")
    clients = [Client(text, tuple(range(len(text))) if is_cut else ()) for text in texts]

    answers = play_clients(stage, clients)

    assert [[answer.status for answer in got] for got in answers] == expected_statuses()
