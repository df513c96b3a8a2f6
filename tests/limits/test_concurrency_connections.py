"""How many connections each worker holds, in sight of the others."""

import pytest

from ovh_proxy.limits.concurrency import ConnectionCounts, SharedConnectionLimit


@pytest.fixture
def shares():
    """Of three workers, none of which has begun."""
    return ConnectionCounts(3)


@pytest.mark.parametrize(
    ("mine", "others", "coming", "expected"),
    [
        (0, (0, 0), 0, False),
        (1, (1, 1), 0, False),
        (1, (0, 1), 0, True),
        (0, (0, 0), 1, True),
        (5, (9, 6), 0, False),
        (5, (9, 6), 2, True),
        (9, (), 0, False),
    ],
    ids=["at the start", "even", "ahead", "about to be", "behind", "about to pass", "alone"],
)
def test_a_worker_is_ahead_while_another_holds_fewer(shares, mine, others, coming, expected):
    share = shares.share(1)
    share.count = mine
    for number, count in enumerate(others, start=2):
        shares.share(number).count = count

    assert share.is_ahead(coming) is expected


def test_nobody_leaves_callers_to_a_worker_that_has_ended(shares):
    share = shares.share(1)
    share.count = 5
    shares.share(2)

    shares.vacate(2)

    assert not share.is_ahead(0)


def test_seats_are_counted_where_the_others_see_them(shares):
    share, other = shares.share(1), shares.share(2)
    connection_limit = SharedConnectionLimit(1, share)

    connection_limit.taken += 2

    assert (connection_limit.taken, connection_limit.is_overfull) == (2, True)
    assert (share.is_ahead(0), other.is_ahead(0)) == (True, False)
