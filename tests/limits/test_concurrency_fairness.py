"""Fair shares of a limit for several clients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovh_proxy.limits.concurrency import is_fair_share


@pytest.mark.parametrize(
    ("held", "wanted", "free", "expected"),
    [
        (0, 1, 1, True),
        (0, 1, 0, False),
        (0, 5, 5, True),
        (0, 6, 5, False),
        (1, 1, 1, False),
        (1, 1, 2, True),
        (2, 1, 2, True),
        (3, 1, 2, False),
        (8, 1, 4, True),
        (9, 1, 3, False),
        (5, 4, 7, True),
        (6, 4, 7, False),
    ],
)
def test_a_client_leaves_a_third_of_what_it_holds(held, wanted, free, expected):
    assert is_fair_share(held, wanted, free) is expected


@given(limit=st.integers(4, 500), clients=st.integers(1, 8))
def test_greedy_clients_leave_capacity_for_a_client_that_holds_nothing(limit, clients):
    held = [0] * clients
    progress = True
    while progress:
        progress = False
        for index in range(clients):
            # A client that has nothing may take the last slot; that is not greedy.
            if held[index] + 1 < limit and is_fair_share(held[index], 1, limit - sum(held) - 1):
                held[index] += 1
                progress = True

    free = limit - sum(held)
    assert free >= 1
    assert is_fair_share(0, 1, free)
    assert max(held) - min(held) <= 1


def test_a_single_client_gets_three_quarters():
    held = 0

    while is_fair_share(held, 1, 512 - held):
        held += 1

    assert held == 384
