import pytest
from fuzz.fragments import expected_statuses, seeds
from fuzz.test_requests import Client, run_clients

from ovh_proxy.core.settings import Timeouts


@pytest.fixture
def timeouts():
    """Long enough for a loaded machine, because every response is checked."""
    return Timeouts(header_s=1, body_s=1, idle_s=1)


@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "byte by byte"])
def test_the_seeds_get_their_expected_responses(harness, is_cut):
    texts = seeds("requests")
    clients = [Client(text, tuple(range(len(text))) if is_cut else ()) for text in texts]

    responses = run_clients(harness, clients)

    assert [[response.status for response in got] for got in responses] == expected_statuses()
