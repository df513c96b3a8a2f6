"""When a failed attempt is worth another, and how long to wait."""

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.core.settings import Retries

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_LONGEST_STATED_WAIT_S = 30.0


def is_worth_another(
    failure: UpstreamFailed, is_safe: bool, attempt: int, retries: Retries
) -> bool:
    """Whether to try again.

    A call that may have arrived is sent twice only when it is safe (RFC 9110 section 9.2.2).

    Args:
        attempt: tries so far, the failed one included.
    """
    if attempt >= retries.attempts:
        return False
    return failure.nothing_arrived or (is_safe and failure.on_kept_connection)


def wait_before(attempt: int, jitter: float, failure: UpstreamFailed) -> float:
    """Seconds before the next attempt: none after a stale connection, else doubling with jitter.

    Args:
        jitter: random, from 0 to 1.
    """
    if failure.on_kept_connection:
        return 0.0
    longest = min(_FIRST_WAIT_S * 2.0 ** (attempt - 1), _LONGEST_WAIT_S)
    return longest * (0.5 + jitter / 2)


def stated_wait(retry_after: bytes | None) -> float:
    """Seconds that `Retry-After` asks for, at most 30; one second where it says nothing readable.

    Source: RFC 9110 section 10.2.3; its date form counts as unreadable, since it needs both clocks.
    """
    if retry_after is None or not retry_after.isdigit():
        return 1.0
    return min(float(retry_after), _LONGEST_STATED_WAIT_S)
