"""When a failed attempt is worth another, and how long to wait."""

from dataclasses import dataclass

from ovh_proxy.core.errors import UpstreamFailed
from ovh_proxy.core.settings import Retries

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_LONGEST_STATED_WAIT_S = 30.0
# One for the call itself, which then gets a fresh connection, and one for the time or the token.
_MAX_UNCOUNTED = 2


def is_worth_another(
    failure: UpstreamFailed, is_safe: bool, attempt: int, retries: Retries
) -> bool:
    """Whether to retry a failed attempt.

    A request that may have arrived is repeated only if it is safe (RFC 9110 section 9.2.2).

    Args:
        attempt: counted attempts so far, including the failed one.
    """
    if attempt >= retries.attempts:
        return False
    return failure.nothing_arrived or (is_safe and failure.on_kept_connection)


def wait_before(attempt: int, jitter: float, failure: UpstreamFailed) -> float:
    """Seconds until the next attempt: 0 after a stale connection, else doubling with jitter.

    Args:
        jitter: random, from 0 to 1.
    """
    if failure.on_kept_connection:
        return 0.0
    longest = min(_FIRST_WAIT_S * 2.0 ** (attempt - 1), _LONGEST_WAIT_S)
    return longest * (0.5 + jitter / 2)


def stated_wait(retry_after: bytes | None, date: bytes | None = None) -> float | None:
    """The delay in `Retry-After`, in seconds; 1 if the header is missing or malformed.

    None for more than 30 seconds: the client decides whether to wait that long, and an earlier
    retry would make things worse.

    Args:
        date: the response's Date, by the same clock as a `Retry-After` with a date.

    Source: RFC 9110 section 10.2.3.
    """
    if retry_after is not None and retry_after.isdigit():
        seconds = float(retry_after)
    else:
        seconds = _seconds_between(date, retry_after)
    return None if seconds > _LONGEST_STATED_WAIT_S else seconds


def _seconds_between(first: bytes | None, second: bytes | None) -> float:
    # Imported here: start-up does not need it, and few responses do.
    from email.utils import parsedate_to_datetime

    if first is None or second is None:
        return 1.0
    try:
        begin, end = (parsedate_to_datetime(one.decode("ascii")) for one in (first, second))
        return max((end - begin).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):  # malformed, or not comparable
        return 1.0


@dataclass(slots=True)
class Attempts:
    """How often a call was tried; available to the log even if the call fails.

    Attributes:
        is_out: the last attempt was sent, so its effect may have happened.
        uncounted: attempts on stale connections, which no limit counts.
    """

    count: int = 0
    is_out: bool = False
    uncounted: int = 0

    @property
    def counted(self) -> int:
        """The attempts that `retries.attempts` limits."""
        return self.count - self.uncounted

    def discount(self, failure: UpstreamFailed, is_safe: bool, retries: Retries) -> None:
        """Excludes a failed attempt from the limit if its kept connection was stale.

        It says nothing about OVHcloud now. A limit of 1 still means one attempt.
        """
        is_stale = is_safe and failure.on_kept_connection
        if is_stale and retries.attempts > 1 and self.uncounted < _MAX_UNCOUNTED:
            self.uncounted += 1

    def leave(self) -> None:
        """Records that the attempt is being sent."""
        self.is_out = True
