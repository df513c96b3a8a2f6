"""Connection counts of the workers, in shared memory."""

import pytest

from ovh_proxy.limits.concurrency import ConnectionCounts, SharedConnectionLimit


@pytest.fixture
def counts():
    """The counts of three workers, before they start."""
    return ConnectionCounts(3)


@pytest.mark.parametrize(
    ("own", "others", "pending", "expected"),
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
def test_a_worker_is_ahead_while_another_has_fewer_connections(
    counts, own, others, pending, expected
):
    share = counts.share(1)
    share.count = own
    for number, count in enumerate(others, start=2):
        counts.share(number).count = count

    assert share.is_ahead(pending) is expected


def test_no_connections_are_left_to_a_worker_that_has_ended(counts):
    share = counts.share(1)
    share.count = 5
    counts.share(2)

    counts.vacate(2)

    assert not share.is_ahead(0)


def test_the_count_is_visible_to_other_workers(counts):
    share, other = counts.share(1), counts.share(2)
    connection_limit = SharedConnectionLimit(1, share)

    connection_limit.count += 2

    assert (connection_limit.count, connection_limit.is_exceeded) == (2, True)
    assert (share.is_ahead(0), other.is_ahead(0)) == (True, False)
