import pytest

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.core.settings import Retries
from ovh_proxy.ovhcloud.retry import Attempts, is_worth_another, stated_wait, wait_before

NOTHING_SENT = UpstreamFailed("refused", nothing_arrived=True)
STALE = UpstreamFailed("closed", on_kept_connection=True)
BROKEN = UpstreamFailed("broken")


@pytest.mark.parametrize(
    ("failure", "is_safe", "attempt", "worth"),
    [
        pytest.param(NOTHING_SENT, True, 1, True, id="nothing sent, safe"),
        pytest.param(NOTHING_SENT, False, 1, True, id="nothing sent, unsafe"),
        pytest.param(STALE, True, 1, True, id="stale connection, safe"),
        pytest.param(STALE, False, 1, False, id="stale connection, unsafe: it may have arrived"),
        pytest.param(BROKEN, True, 1, False, id="truncated response, safe"),
        pytest.param(BROKEN, False, 1, False, id="truncated response, unsafe"),
        pytest.param(NOTHING_SENT, True, 2, True, id="the second-last attempt"),
        pytest.param(NOTHING_SENT, True, 3, False, id="the last attempt"),
        pytest.param(STALE, True, 3, False, id="the last attempt, stale"),
    ],
)
def test_a_call_is_retried_only_if_it_cannot_happen_twice(failure, is_safe, attempt, worth):
    assert is_worth_another(failure, is_safe, attempt, Retries(attempts=3)) is worth


@pytest.mark.parametrize(
    ("attempt", "jitter", "seconds"),
    [
        (1, 1.0, 0.1),
        (1, 0.0, 0.05),
        (2, 1.0, 0.2),
        (3, 1.0, 0.4),
        (5, 1.0, 1.6),
        (6, 1.0, 2.0),
        (60, 1.0, 2.0),
        (60, 0.0, 1.0),
    ],
)
def test_waits_double_up_to_two_seconds_with_jitter(attempt, jitter, seconds):
    assert wait_before(attempt, jitter, NOTHING_SENT) == pytest.approx(seconds)


def test_after_a_stale_connection_the_retry_is_immediate():
    assert wait_before(2, 1.0, STALE) == 0.0


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (None, 1.0),
        (b"", 1.0),
        (b"0", 0.0),
        (b"7", 7.0),
        (b"00007", 7.0),
        (b"30", 30.0),
        (b"31", None),
        (b"9" * 5000, None),
        (b"-5", 1.0),
        (b"1.5", 1.0),
        (b"soon", 1.0),
        (b"Wed, 21 Oct 2026 07:28:12 GMT", 12.0),
        (b"Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        (b"Wed, 21 Oct 2026 07:28:31 GMT", None),
        (b"Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        (b"Wed, 21 Oct 2026 07:28:12", 1.0),
        (b"Wed, 21 Oct 2026 07:28:12 +99999999999999", 1.0),
        (b"Wed, 21 Oct 99999 07:28:12 GMT", 1.0),
        (b"Wed, 21 Oct 2026 07:28:\xb2 GMT", 1.0),
    ],
)
def test_retry_after_is_obeyed_up_to_half_a_minute(retry_after, seconds):
    assert stated_wait(retry_after, b"Wed, 21 Oct 2026 07:28:00 GMT") == seconds


@pytest.mark.parametrize("date", [None, b"", b"today"])
def test_a_retry_after_date_needs_the_date_of_the_response(date):
    assert stated_wait(b"Wed, 21 Oct 2026 07:28:12 GMT", date) == 1.0


def test_attempts_record_that_the_last_one_was_sent():
    attempts = Attempts()
    assert not attempts.is_out

    attempts.leave()

    assert attempts.is_out


@pytest.mark.parametrize(
    ("failure", "is_safe", "limit", "counted"),
    [
        pytest.param(STALE, True, 3, [0, 0, 1], id="two stale connections"),
        pytest.param(STALE, True, 2, [0, 0, 1], id="the lowest limit"),
        pytest.param(STALE, True, 1, [1, 2, 3], id="retries are disabled"),
        pytest.param(STALE, False, 3, [1, 2, 3], id="it may have arrived"),
        pytest.param(NOTHING_SENT, True, 3, [1, 2, 3], id="nothing sent"),
    ],
)
def test_the_first_stale_connections_do_not_count(failure, is_safe, limit, counted):
    attempts, after_each = Attempts(), []

    for _ in range(3):
        attempts.count += 1
        attempts.discount(failure, is_safe, Retries(attempts=limit))
        after_each.append(attempts.counted)

    assert after_each == counted
